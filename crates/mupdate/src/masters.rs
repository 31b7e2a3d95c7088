//! A list that several masters share: in etcd, with a copy of it here.

use config::imapd::Imapd;
use mailboxes::List;
use service::{Context, Exit};

#[cfg(feature = "etcd")]
pub(crate) use in_etcd::open;

/// A program that was built without etcd says so, instead of serving a list of its own.
#[cfg(not(feature = "etcd"))]
pub(crate) async fn open(_: &Context, _: &Imapd) -> Result<Option<List>, Exit> {
    Err(Exit::config(
        "etcd_endpoints: this mupdate was built without etcd: build it with `cargo build --release --features mupdate/etcd`, which needs protoc \
         (Debian: protobuf-compiler)",
    ))
}

#[cfg(feature = "etcd")]
mod in_etcd {
    use authority_etcd::{Etcd, Settings, Trouble, admin::Admin};
    use directory::replica;
    use mailboxes::Options;

    use super::{Context, Exit, Imapd, List};

    /// Opens the copy, and follows etcd. Until etcd answers for the first time no clients are taken. None: it was told to stop
    /// meanwhile.
    pub(crate) async fn open(context: &Context, imapd: &Imapd) -> Result<Option<List>, Exit> {
        let settings = Settings::of(imapd).map_err(Exit::config)?;
        let settings = settings.ok_or_else(|| Exit::config("etcd_endpoints is empty"))?;
        let list = replica::open(context, Options::replica())?;
        let stop = context.shutdown();
        let Some(etcd) = stop.run_until_cancelled(reach(context, &settings, &list)).await.transpose()? else {
            return Ok(None);
        };
        let list = list.share(etcd.clone())?;
        if stop.run_until_cancelled(complete(&list)).await.is_none() {
            return Ok(None);
        }
        let shown = list.clone();
        let port = context.listeners().iter().find_map(|listener| Some(listener.local_addr()?.port()));
        let address = format!("{}:{}", imapd.servername, port.unwrap_or(imapd.mupdate_port));
        etcd.keep_house(address, move || shown.position());
        watch(context, &list, etcd);
        context.shut(false, "");
        Ok(Some(list))
    }

    /// Returns when the list has what etcd has.
    async fn complete(list: &List) {
        let mut moves = list.watch();
        while !list.is_complete() && moves.changed().await.is_ok() {}
    }

    /// Tries until etcd answers. Each attempt takes its time.
    async fn reach(context: &Context, settings: &Settings, list: &List) -> Result<Etcd, Exit> {
        loop {
            match attempt(settings, list).await {
                Ok(etcd) => return Ok(etcd),
                Err(Trouble::Unreachable(why)) => {
                    tracing::warn!("etcd_endpoints: {why}: no clients are taken until etcd answers");
                    context.shut(true, "etcd does not answer");
                }
                Err(trouble) => return Err(Exit::config(trouble)),
            }
        }
    }

    async fn attempt(settings: &Settings, list: &List) -> Result<Etcd, Trouble> {
        let is_empty = list.scan(None, 1).is_ok_and(|page| page.entries.is_empty());
        if is_empty {
            // A murder that begins with several masters. Where there is a list it stays; one that this host has is not left behind.
            Admin::new(settings)?.create().await?;
        }
        Etcd::open(settings).await
    }

    /// Takes clients while etcd answers, and ends when the list is taken out of it.
    fn watch(context: &Context, list: &List, etcd: Etcd) {
        let (stop, watched) = (context.shutdown(), context.clone());
        let Some(mut live) = list.live() else { return };
        let watch = async move {
            let left = etcd.left();
            let mut left = std::pin::pin!(left);
            loop {
                tokio::select! {
                    () = &mut left => {
                        tracing::error!("the list was taken out of etcd, or replaced there: this master ends");
                        return watched.stop();
                    }
                    moved = live.changed() => match moved {
                        Ok(()) => watched.shut(!live.get(), if live.get() { "" } else { "etcd does not answer" }),
                        Err(_) => return,
                    },
                }
            }
        };
        tokio::spawn(async move { stop.run_until_cancelled(watch).await });
    }
}
