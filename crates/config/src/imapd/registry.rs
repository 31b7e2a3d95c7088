//! The registry of options: each option of imapd.conf that this project knows, in one place.
//!
//! A row is `name: field type, kind, default, effect, meaning`. The default is written as the file would have it,
//! and goes through the same reader; empty means unset. [`Settings`], [`OPTIONS`], the parser, `murder config list`
//! and the manual page are all made from these rows, so an option cannot be known to one and unknown to another.

// The meanings are written for the manual page, where `<shorthost>` is what one puts in.
#![allow(rustdoc::invalid_html_tags)]

use std::time::Duration;

use super::choices::{
    AuthMech, ClientCerts, DeleteMode, ExpungeMode, LogTarget, MupdateConfig, QosMarking, SearchEngine,
    SelectMode, ServerInfo, VirtDomains,
};
use super::kind::{Field, Kind, Value};

/// What an option does here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It does what the manual says.
    Honoured,
    /// It is accepted, so that a file written for Cyrus runs, but does nothing, for this reason.
    None(&'static str),
    /// A file that sets it to anything but its default is refused, for this reason.
    Refused(&'static str),
}

/// One option: everything that is known of it but its value.
#[derive(Debug, Clone, Copy)]
pub struct OptionSpec {
    pub name: &'static str,
    pub kind: Kind,
    /// As a file would write it; empty: unset.
    pub default: &'static str,
    pub effect: Effect,
    /// One or two sentences for the manual.
    pub doc: &'static str,
    pub section: &'static str,
}

macro_rules! options {
    ($($section:literal { $($name:ident: $type:ty, $kind:expr, $default:literal, $effect:expr, $doc:literal;)+ })+) => {
        /// The value of every option, named and typed as in the registry.
        #[derive(Debug, Clone)]
        pub struct Settings { $($(#[doc = $doc] pub $name: $type,)+)+ }

        impl Settings {
            /// Fills each field with what `value` finds for it, called in the order of [`OPTIONS`].
            pub(super) fn from_values(mut value: impl FnMut(&OptionSpec) -> Option<Value>) -> Settings {
                let mut specs = OPTIONS.iter();
                let mut next = || specs.next().and_then(&mut value);
                Settings { $($($name: <$type>::from_value(next()),)+)+ }
            }
        }

        /// All options, section by section.
        pub static OPTIONS: &[OptionSpec] = &[$($(OptionSpec {
            name: stringify!($name), kind: $kind, default: $default, effect: $effect, doc: $doc, section: $section,
        },)+)+];
    };
}

/// The option of that name.
pub fn find(name: &str) -> Option<&'static OptionSpec> {
    use std::collections::HashMap;
    use std::sync::LazyLock;
    static BY_NAME: LazyLock<HashMap<&str, &OptionSpec>> =
        LazyLock::new(|| OPTIONS.iter().map(|option| (option.name, option)).collect());
    BY_NAME.get(name).copied()
}

const ON: Effect = Effect::Honoured;
const NO_REALM: Effect = Effect::None(
    "PLAIN, LOGIN, SCRAM and EXTERNAL have no realm: the name is sent as it is, as Cyrus does; where the other side wants name@realm, write that as the name",
);
const OWN_STORES: Effect = Effect::None("this project has its own databases");
const DB_KINDS: &[&str] = &["flat", "skiplist", "sql", "twoskip", "zeroskip", "quotalegacy"];
const META_FILES: &[&str] =
    &["header", "index", "cache", "expunge", "squat", "annotations", "lock", "dav", "archivecache"];
const NEWS_HEADERS: &[&str] = &["to", "replyto"];
const TLS_VERSIONS: &[&str] = &["tls1_0", "tls1_1", "tls1_2", "tls1_3"];
const SPECIAL_USES: &[&str] = &[
    "\\Archive",
    "\\Drafts",
    "\\Important",
    "\\Junk",
    "\\Sent",
    "\\Trash",
    "\\Snoozed",
    "\\Scheduled",
    "\\Memos",
    "\\XChats",
    "\\XTemplates",
    "\\XNotes",
];

const fn ignored(reason: &'static str) -> Effect {
    Effect::None(reason)
}

macro_rules! choice_field {
    ($($name:ident: $unset:ident),+ $(,)?) => {$(
        impl Field for $name {
            fn from_value(value: Option<Value>) -> $name {
                $name::from_word(&String::from_value(value)).unwrap_or($name::$unset)
            }
        }
    )+};
}

choice_field!(
    ServerInfo: On,
    MupdateConfig: Standard,
    QosMarking: Cs0,
    SearchEngine: Squat,
    SelectMode: FreespaceMost,
    VirtDomains: Off,
    DeleteMode: Delayed,
    ExpungeMode: Delayed,
    AuthMech: Unix,
    ClientCerts: Optional,
    LogTarget: Auto,
);

options! {
"Identity and roles" {
    configdirectory: String, Kind::Text, "", ON, "Directory of the databases, sockets and logs of this node. Required.";
    servername: String, Kind::Text, "", ON, "Name of this node: the left side of every location that a backend registers. Default: the host's name.";
    serverinfo: ServerInfo, Kind::Choice(ServerInfo::WORDS), "on", ON, "How much greetings tell: on for name and version, min for the name, off for neither.";
    admins: Vec<String>, Kind::List, "", ON, "Users with all rights; on a MUPDATE master, those who may speak MUPDATE. With virtdomains, one with a domain has them in that domain.";
    proxyservers: Vec<String>, Kind::List, "", ON, "Users that may log in as anyone: the frontends' proxy_authname. Set on backends only.";
    submitservers: Vec<String>, Kind::List, "", ignored("URLAUTH is not offered"), "Users that may resolve submit+ URLs.";
    cyrus_user: Option<String>, Kind::Text, "", ON, "User that master runs services as; the environment's CYRUS_USER goes before it. Default: cyrus.";
    cyrus_group: Option<String>, Kind::Text, "", ON, "Group that master runs services as. Default: the user's own.";
    umask: u32, Kind::COUNT, "077", ON, "File mode bits that new files do not get; a leading 0 makes the number octal.";
}
"The murder" {
    mupdate_server: Option<String>, Kind::Text, "", ON, "The MUPDATE master, as host, host:port or either with /tls; or several that share one list, with blanks between them: the one that answers is kept, and when it fails another is asked. Makes the node a member of a murder.";
    mupdate_port: u16, Kind::PORT, "3905", ON, "Port of mupdate_server where that names none.";
    mupdate_username: String, Kind::Text, "", ON, "User to act as towards the master.";
    mupdate_authname: Option<String>, Kind::Text, "", ON, "User whose password logs in to the master.";
    mupdate_realm: Option<String>, Kind::Text, "", NO_REALM, "SASL realm of mupdate_authname.";
    mupdate_password: Option<String>, Kind::Text, "", ON, "Password of mupdate_authname.";
    mupdate_tls: Option<bool>, Kind::Switch, "", ON, "Whether TLS towards the master is demanded. Unset: where tls_server_ca_file or tls_server_ca_dir is set, but of a Cyrus master, which dies of it, only where a password would be sent. Beyond Cyrus.";
    mupdate_config: MupdateConfig, Kind::Choice(MupdateConfig::WORDS), "standard", ON, "Shape of the murder. unified: this node is a frontend and a backend; its proxies reach its own backend over UNIX sockets. replicated: of a master alone, whose RESERVE of what exists and DELETE of what does not are then OK.";
    mupdate_retry_delay: Duration, Kind::SECONDS, "20s", ON, "Longest wait between attempts to reach the master.";
    mupdate_connections_max: u32, Kind::COUNT, "128", ON, "Most connections that mupdate serves at a time.";
    mupdate_entries_max: u32, Kind::COUNT, "3000000", ON, "Most mailboxes that a list of another server may have: a larger one is not taken over, and the one from before is served on. 0: no limit. Beyond Cyrus.";
    mupdate_workers_start: u32, Kind::COUNT, "5", ignored("connections do not need threads of their own"), "Threads at start.";
    mupdate_workers_minspare: u32, Kind::COUNT, "2", ignored("connections do not need threads of their own"), "Least idle threads.";
    mupdate_workers_maxspare: u32, Kind::COUNT, "10", ignored("connections do not need threads of their own"), "Most idle threads.";
    mupdate_workers_max: u32, Kind::COUNT, "50", ignored("connections do not need threads of their own"), "Most threads.";
    mupdate_master_writes: bool, Kind::Switch, "yes", ON, "Whether this node's mupdate -m takes changes. no: it only answers (as with --read-only), for the slaves of a far site. Beyond Cyrus.";
    mupdate_readers: Vec<String>, Kind::List, "", ON, "Users that may FIND, LIST, UPDATE and NOOP at the master, and change nothing. Beyond Cyrus.";
    etcd_endpoints: Vec<String>, Kind::List, "", ON, "Members of the etcd that has the list of several masters, each as https://host:port; http:// on this host alone. Empty: the master has the list itself. Beyond Cyrus.";
    etcd_ca_file: Option<String>, Kind::Text, "", ON, "PEM file with the authorities that etcd's certificates are from. Beyond Cyrus.";
    etcd_cert_file: Option<String>, Kind::Text, "", ON, "PEM file with this master's certificate towards etcd. Beyond Cyrus.";
    etcd_key_file: Option<String>, Kind::Text, "", ON, "PEM file with the key of etcd_cert_file. Beyond Cyrus.";
    etcd_username: Option<String>, Kind::Text, "", ON, "User to log in to etcd as, where no certificate does. Beyond Cyrus.";
    etcd_password: Option<String>, Kind::Text, "", ON, "Password of etcd_username. Beyond Cyrus.";
    etcd_prefix: String, Kind::Text, "murder/", ON, "What all keys of this murder in etcd begin with. Beyond Cyrus.";
    etcd_txn_names: u32, Kind::COUNT, "120", ON, "Most mailboxes of one transaction: eight less than etcd's --max-txn-ops. Beyond Cyrus.";
    proxy_authname: String, Kind::Text, "proxy", ON, "User whose password logs proxies in to backends.";
    proxy_password: Option<String>, Kind::Text, "", ON, "Password of proxy_authname; <shorthost>_password goes before it.";
    proxy_realm: Option<String>, Kind::Text, "", NO_REALM, "SASL realm of proxy_authname.";
    proxy_compress: bool, Kind::Switch, "no", ON, "Whether proxies use COMPRESS towards backends.";
    force_sasl_client_mech: Vec<String>, Kind::List, "", ON, "Mechanism to use towards every server; <shorthost>_mechs goes before it.";
    client_timeout: Duration, Kind::Duration { unit: 's', floor: 1, min: 0 }, "10s", ON, "Bound on connecting and logging in to another server.";
    client_bind: bool, Kind::Switch, "no", ON, "Whether connections to other servers come from client_bind_name.";
    client_bind_name: Option<String>, Kind::Text, "", ON, "Host or address that they come from. Default: servername.";
    proxyd_disable_mailbox_referrals: bool, Kind::Switch, "no", ON, "Never refer clients to backends.";
    proxyd_allow_status_referral: bool, Kind::Switch, "no", ON, "Refer clients to backends on STATUS too.";
    sieve_allowreferrals: bool, Kind::Switch, "yes", ON, "Whether a frontend refers ManageSieve clients to the backend; else they are connected through to it, which more clients understand.";
    serverlist: Vec<String>, Kind::Items, "", ON, "Backends, host or host:port, among which new top-level mailboxes and new users are placed.";
    defaultserver: Option<String>, Kind::Text, "", ON, "Backend that takes all new top-level mailboxes and new users, whether or not it can be reached: serverlist is not used then.";
    serverlist_select_mode: SelectMode, Kind::Choice(SelectMode::WORDS), "freespace-most", ON, "How a backend is chosen among serverlist.";
    serverlist_select_usage_reinit: u32, Kind::COUNT, "0", ON, "How many choices use one reading of the backends' free space, which is used for a minute at most; 0 is all in that minute.";
    serverlist_select_soft_usage_limit: u32, Kind::PERCENT, "0", ON, "Backends full to this percentage or more are chosen only when all are; 0 is no limit.";
    allowusermoves: bool, Kind::Switch, "no", ON, "Whether users' mailboxes may be renamed and moved. The same on all nodes.";
    move_authname: Option<String>, Kind::Text, "", ON, "User whose password logs in to other backends for moves; there it stands in move_servers, or in admins. Default: proxy_authname, which must be in their admins. Beyond Cyrus.";
    move_password: Option<String>, Kind::Text, "", ON, "Password of move_authname. Beyond Cyrus.";
    move_servers: Vec<String>, Kind::List, "", ON, "Users that may bring mailboxes here by moves, and take part in what that needs (SYNCAPPLY and SYNCGET): the other backends' move_authname. They are no administrators. Set on backends only. Beyond Cyrus.";
    move_keep: Duration, Kind::DAYS, "7d", ON, "How long the hidden copy of a mailbox stays where a move took it from; then it is removed, if the MUPDATE master says that another backend has the mailbox, and that backend says so too. Beyond Cyrus.";
    move_parallel: u32, Kind::COUNT, "2", ON, "How many moves of mailboxes to other backends go on at once from this one, and how many to it; others are queued at their source. 0 counts as 1. Beyond Cyrus.";
    move_freeze: Duration, Kind::Duration { unit: 's', floor: 1, min: 0 }, "2s", ON, "How long a move keeps changes waiting at most before its decision: what is not ready for that after three quarters of it goes on as before, and is tried again. No more than 5s help: a change waits no longer. Beyond Cyrus.";
    move_rate: u64, Kind::BYTES, "0", ON, "How many bytes each move sends in a second at most while mail flows; 0 is no limit. Beyond Cyrus.";
    xfer_from_cyrus: bool, Kind::Switch, "yes", ON, "Whether X-REPLICATION is announced to administrators of the whole node, so that a Cyrus backend moves users here by its XFER. Beyond Cyrus.";
    allowallsubscribe: bool, Kind::Switch, "no", ON, "Whether one may subscribe to names that do not exist here.";
    suppress_capabilities: Vec<String>, Kind::List, "", ON, "Capabilities not to be announced.";
    allowsetacl: bool, Kind::Switch, "yes", ON, "Whether SETACL is served.";
}
"Names" {
    unixhierarchysep: bool, Kind::Switch, "yes", ON, "Whether / separates the levels of names seen by clients; else a dot. The same on all nodes.";
    altnamespace: bool, Kind::Switch, "yes", ON, "Whether users see their folders beside INBOX; else below it. The same on all nodes.";
    userprefix: String, Kind::Text, "Other Users", ON, "Top level of other users' mailboxes, with altnamespace.";
    sharedprefix: String, Kind::Text, "Shared Folders", ON, "Top level of shared mailboxes, with altnamespace.";
    altprefix: String, Kind::Text, "Alt Folders", ON, "Top level of folders whose names would be ambiguous, with altnamespace.";
    virtdomains: VirtDomains, Kind::Choice(VirtDomains::WORDS), "off", ON, "Whether user names have domains. With on, who types none is of the domain of the address that the client came to, by its name.";
    defaultdomain: String, Kind::Text, "internal", ON, "Domain whose users and mailboxes are stored without it.";
    crossdomains: bool, Kind::Switch, "no", ON, "Whether users name and see mailboxes of other domains, with virtdomains. The same on all nodes.";
    crossdomains_onlyother: bool, Kind::Switch, "no", ON, "Whether only other domains' mailboxes show their domain, with crossdomains. The same on all nodes.";
    username_tolower: bool, Kind::Switch, "yes", ON, "Whether login names are made lower-case.";
    loginrealms: Vec<String>, Kind::List, "", ON, "Foreign realms whose user@realm may log in.";
    disable_user_namespace: bool, Kind::Switch, "no", ON, "Whether LIST hides other users' mailboxes from all but admins.";
    disable_shared_namespace: bool, Kind::Switch, "no", ON, "Whether LIST hides shared mailboxes from all but admins.";
    deletedprefix: String, Kind::Text, "DELETED", ON, "Tree that deleted mailboxes are moved to.";
    delete_mode: DeleteMode, Kind::Choice(DeleteMode::WORDS), "delayed", ON, "Whether a deleted mailbox goes at once, or into the tree of deletedprefix.";
    expunge_mode: ExpungeMode, Kind::Choice(ExpungeMode::WORDS), "delayed", ON, "When expunged messages leave the disk: at once, or by cyr_expire.";
    expunge_history: Duration, Kind::DAYS, "90d", ON, "How long a mailbox remembers which messages are gone, for clients that come back (QRESYNC). It remembers 10000 expunges at most, or as many as it has messages.";
    reverseacls: bool, Kind::Switch, "no", ignored("names are always indexed by their ACL"), "Whether mailboxes are indexed by ACL.";
    acl_admin_implies_write: bool, Kind::Switch, "no", ignored("the right to administer is that alone"), "Whether the right to administer implies that to write.";
    anyoneuseracl: bool, Kind::Switch, "yes", ON, "Whether anyone may be given rights on users' mailboxes.";
    defaultacl: String, Kind::Text, "anyone lrs", ON, "ACL of new top-level shared mailboxes.";
    implicit_owner_rights: String, Kind::Text, "lkxan", ON, "Rights on a mailbox that its owner always has.";
    deleteright: String, Kind::Text, "c", ON, "Right that implies the right to delete the mailbox.";
    auth_mech: AuthMech, Kind::Choice(AuthMech::WORDS), "unix", ON, "Where group membership comes from. Only unix is looked up; with pts and mboxgroups a mailbox whose ACL denies a group is open to its owner alone, and no INBOX is made by itself; krb and krb5 know no groups.";
    unix_group_enable: bool, Kind::Switch, "yes", ON, "Whether group: identifiers are looked up among the system's groups.";
    specialusealways: bool, Kind::Switch, "yes", ON, "Whether LIST always shows special-use attributes.";
    specialuse_extra: Vec<String>, Kind::List, "", ON, "Further special uses that clients may set.";
    allowspecialusesubfolder: bool, Kind::Switch, "no", ON, "Whether mailboxes below the top level may have a special use.";
    specialuse_nochildren: Vec<String>, Kind::List, "\\Scheduled \\Snooze", ON, "Special uses whose mailbox may have no children; \\Snooze means \\Snoozed.";
    specialuse_protect: Vec<String>, Kind::Words(SPECIAL_USES), "\\Archive \\Drafts \\Important \\Junk \\Sent \\Trash", ON, "Special uses whose mailbox may not be deleted, or moved below another one.";
}
"Storage" {
    defaultpartition: Option<String>, Kind::Text, "", ON, "Partition of new mailboxes. Unset: chosen by partition_select_mode.";
    partition_select_mode: SelectMode, Kind::Choice(SelectMode::WORDS), "freespace-most", ON, "How a partition is chosen for a new mailbox.";
    partition_select_exclude: Vec<String>, Kind::Items, "", ON, "Partitions that are never chosen.";
    partition_select_usage_reinit: u32, Kind::COUNT, "0", ON, "How many choices use one reading of the partitions' free space, which is used for a minute at most; 0 is all in that minute.";
    partition_select_soft_usage_limit: u32, Kind::PERCENT, "0", ON, "Partitions full to this percentage or more are chosen only when all are; 0 is no limit.";
    maxmailboxes_per_user: u32, Kind::COUNT, "10000", ON, "Most mailboxes below one INBOX, or one shared top-level mailbox, on a backend, deleted ones that are not removed yet among them, and most subscriptions of one user. Beyond it admins alone create mailboxes. 0 is no limit. Beyond Cyrus.";
    metapartition_files: Vec<String>, Kind::Words(META_FILES), "", ignored("a mailbox's files stay together"), "Files that lie in metapartitions.";
    archive_enabled: bool, Kind::Switch, "no", ignored("there is one spool per partition"), "Whether old messages move to archive partitions.";
    archive_after: Duration, Kind::DAYS, "7d", ignored("there is one spool per partition"), "Age at which they do.";
    archive_maxsize: u64, Kind::KBYTES, "1024K", ignored("there is one spool per partition"), "Size at which they do.";
    archive_keepflagged: bool, Kind::Switch, "no", ignored("there is one spool per partition"), "Whether flagged messages stay.";
    hashimapspool: bool, Kind::Switch, "no", ignored("directories are hashed by mailbox id"), "Whether spool directories are hashed.";
    fulldirhash: bool, Kind::Switch, "no", ignored("directories are hashed by mailbox id"), "Whether all letters of a name count for the hash.";
    mailbox_default_options: i64, Kind::INT, "0", ON, "Option bits of new mailboxes.";
    mboxlist_db: String, Kind::Choice(DB_KINDS), "twoskip", OWN_STORES, "Format of the mailboxes database.";
    mboxlist_db_path: Option<String>, Kind::Text, "", OWN_STORES, "Place of the mailboxes database.";
    quota_db: String, Kind::Choice(DB_KINDS), "quotalegacy", OWN_STORES, "Format of the quota database.";
    quota_db_path: Option<String>, Kind::Text, "", OWN_STORES, "Place of the quota database.";
    subscription_db: String, Kind::Choice(DB_KINDS), "flat", OWN_STORES, "Format of the subscriptions.";
    annotation_definitions: Option<String>, Kind::Text, "", ON, "File of further annotations that clients may set, in Cyrus's format.";
    annotation_allow_undefined: bool, Kind::Switch, "yes", ON, "Whether clients may set annotations that nobody has defined, but for those below /vendor/cmu/cyrus-imapd. Cyrus's default is no, with which few clients of METADATA work.";
    annotation_enable_legacy_commands: bool, Kind::Switch, "no", ON, "Whether GETANNOTATION and SETANNOTATION are served to those who are no proxies.";
    annotation_db: String, Kind::Choice(DB_KINDS), "twoskip", OWN_STORES, "Format of the annotations.";
    annotation_db_path: Option<String>, Kind::Text, "", OWN_STORES, "Place of the annotations.";
    duplicate_db: String, Kind::Choice(DB_KINDS), "twoskip", OWN_STORES, "Format of the duplicates database.";
    duplicate_db_path: Option<String>, Kind::Text, "", OWN_STORES, "Place of the duplicates database.";
    statuscache_db: String, Kind::Choice(DB_KINDS), "twoskip", OWN_STORES, "Format of the status cache.";
    statuscache_db_path: Option<String>, Kind::Text, "", OWN_STORES, "Place of the status cache.";
    tls_sessions_db: String, Kind::Choice(DB_KINDS), "twoskip", OWN_STORES, "Format of the TLS session cache.";
    tls_sessions_db_path: Option<String>, Kind::Text, "", OWN_STORES, "Place of the TLS session cache.";
    userdeny_db: String, Kind::Choice(DB_KINDS), "flat", ignored("the list of denied users is read and written in the flat format"), "Format of the list of denied users.";
    userdeny_db_path: String, Kind::Text, "{configdirectory}/user_deny.db", ON, "File of the users that may not log in, in Cyrus's flat format; see murder deny.";
    statuscache: bool, Kind::Switch, "no", OWN_STORES, "Whether STATUS answers are cached.";
    singleinstancestore: bool, Kind::Switch, "yes", ignored("a message given to several mailboxes of a partition always shares one file"), "Whether one delivery to several mailboxes of a partition shares one file.";
    duplicatesuppression: bool, Kind::Switch, "yes", ON, "Whether a message with the Message-ID of one delivered before is dropped.";
    temp_path: String, Kind::Text, "/tmp", ON, "Directory of temporary files.";
    mboxname_lockpath: Option<String>, Kind::Text, "", OWN_STORES, "Directory of lock files.";
    proc_path: String, Kind::Text, "{configdirectory}/proc", ON, "Directory of master's table of processes.";
    maxmessagesize: u64, Kind::BYTES, "0", ON, "Largest message that is taken, by APPEND and by LMTP; 0 is no limit.";
    quotawarnpercent: u32, Kind::PERCENT, "90", ON, "Fullness of a quota, in percent, at which users are warned.";
    quotawarnsize: u64, Kind::KBYTES, "0", ON, "Free space in a quota at which users are warned.";
    quotawarnmsg: u32, Kind::COUNT, "0", ON, "Free messages in a quota at which users are warned.";
    sievedir: String, Kind::Text, "/usr/sieve", ignored("scripts are kept in the store, with their user"), "Directory of Sieve scripts.";
    sieveusehomedir: bool, Kind::Switch, "no", ignored("scripts are kept in the store, with their user"), "Whether scripts lie in home directories.";
    autocreate_quota: Option<u64>, Kind::Bytes { unit: 1024, min: -1 }, "-1", ON, "Whether a user's INBOX is made at login: -1 is never, 0 without quota, else its quota. On a frontend: whether a new user is sent to a backend for that, which needs it too.";
    autocreate_quota_messages: Option<u64>, Kind::Int { min: -1, max: i32::MAX as i64 }, "-1", ON, "Quota of messages of an INBOX made so; -1 is none.";
    autocreate_post: bool, Kind::Switch, "no", ON, "Whether a delivery makes the INBOX too. The same on frontends and backends.";
    autocreate_users: Vec<String>, Kind::List, "anyone", ON, "Users and groups whose INBOX is made. The same on frontends and backends.";
    autocreate_inbox_folders: Option<String>, Kind::Text, "", ON, "Folders made with the INBOX, separated by |.";
    autocreate_subscribe_folders: Option<String>, Kind::Text, "", ON, "Those that the user is subscribed to, separated by |.";
    autocreate_subscribe_sharedfolders: Option<String>, Kind::Text, "", ON, "Shared folders that the user is subscribed to, separated by |.";
    autocreate_subscribe_sharedfolders_all: bool, Kind::Switch, "no", ON, "Whether the user is subscribed to all shared folders that can be read.";
    autocreate_sieve_folders: Option<String>, Kind::Text, "", ON, "Folders of a user, separated by |, that fileinto makes where they are missing.";
    anysievefolder: bool, Kind::Switch, "no", ON, "Whether fileinto makes every folder that is missing.";
    autocreate_sieve_script: Option<String>, Kind::Text, "", ON, "File with the script that a new user gets with the INBOX, and that is active then; its name is the file's. The same on all backends.";
    autocreate_sieve_script_compile: bool, Kind::Switch, "no", ignored("scripts are compiled in memory"), "Whether the new user's script is compiled.";
    autocreate_sieve_script_compiled: Option<String>, Kind::Text, "", ignored("scripts are compiled in memory"), "File with that script, compiled.";
    autocreate_acl: Option<String>, Kind::Text, "", ON, "ACLs of the folders made, as folder identifier rights.";
}
"IMAP and POP3" {
    timeout: Duration, Kind::Duration { unit: 'm', floor: 1800, min: 0 }, "32m", ON, "Idle time after which an IMAP session ends.";
    imapidlepoll: Duration, Kind::SECONDS, "60s", ON, "Interval of checks during IDLE at a frontend whose backend has no IDLE of its own; 0: no IDLE there. A backend hears of changes at once.";
    search_engine: SearchEngine, Kind::Choice(SearchEngine::WORDS), "squat", ON, "Index of the text of messages, made in the background: squat is the store's own, by which SEARCH finds what it finds without; none makes none, so that SEARCH TEXT reads all messages. xapian is not there, and squat is taken instead. Cyrus's default is none, and its squat is made by squatter alone.";
    search_maxtime: Duration, Kind::SECONDS, "60s", ON, "Time of the processor that one SEARCH, SORT, THREAD, LIST or LSUB may take before it is refused; 0: no bound.";
    uidbatches_min_batch: u32, Kind::Int { min: 1, max: 500 }, "100", ON, "Fewest messages of one batch that UIDBATCHES tells of.";
    uidbatches_max_messages: u32, Kind::Int { min: 100_000, max: i32::MAX as i64 }, "1000000", ON, "Most messages that one UIDBATCHES tells of.";
    imapidletimeout: Option<Duration>, Kind::MINUTES, "", ON, "Bound on one IDLE. Unset: timeout.";
    imap_inprogress_interval: Duration, Kind::SECONDS, "10s", ON, "How often a client is told how far a long SEARCH, SORT, THREAD, COPY or MOVE is; 0: never.";
    poptimeout: Duration, Kind::Duration { unit: 'm', floor: 600, min: 0 }, "10m", ON, "Idle time after which a POP3 session ends.";
    popminpoll: Duration, Kind::MINUTES, "0", ON, "Least time between two POP3 logins of a user.";
    poppollpadding: u32, Kind::Int { min: 1, max: i32::MAX as i64 }, "1", ON, "Logins that a user may make before popminpoll counts.";
    popexpiretime: Option<Duration>, Kind::Duration { unit: 'd', floor: i64::MIN, min: -86400 }, "-1", ON, "EXPIRE that POP3 announces; -1 is NEVER.";
    popsubfolders: bool, Kind::Switch, "no", ON, "Whether user+folder logs in to a folder by POP3.";
    popuseacl: bool, Kind::Switch, "no", ON, "Whether POP3 obeys the mailbox's ACL.";
    popuseimapflags: bool, Kind::Switch, "no", ON, "Whether POP3 sets \\Seen.";
    allowapop: bool, Kind::Switch, "yes", ignored("APOP is not offered: it needs passwords in the clear"), "Whether APOP is offered where a plain secret is stored.";
    maxliteral: u64, Kind::BYTES, "128K", ON, "Longest literal in a command other than APPEND; 0 is no limit.";
    maxquoted: u64, Kind::BYTES, "128K", ON, "Longest quoted string; 0 is no limit.";
    maxword: u64, Kind::BYTES, "128K", ON, "Longest word; 0 is no limit.";
    literalminus: bool, Kind::Switch, "no", ON, "Whether LITERAL- is offered in place of LITERAL+.";
    maxlogins_per_host: u32, Kind::COUNT, "0", ON, "Most sessions from one address, by protocol; 0 is no limit.";
    maxlogins_per_user: u32, Kind::COUNT, "200", ON, "Most sessions of one user, by protocol; 0 is no limit. Admins and proxyservers are not counted, nor are the sessions in which they act for a user.";
    allowanonymouslogin: bool, Kind::Switch, "no", ON, "Whether the user anonymous may log in to IMAP and NNTP, with any password. Over NNTP whoever has not logged in is anonymous then: its rights and anyone's decide what is read and posted.";
    imapmagicplus: bool, Kind::Switch, "no", ON, "Whether user+ at login keeps only subscribed folders in view.";
    imapidresponse: bool, Kind::Switch, "yes", ON, "Whether the ID command is answered with name and version.";
    foolstupidclients: bool, Kind::Switch, "no", ON, "Whether LIST \"\" * shows the personal namespace only, as LIST \"\" INBOX* does.";
    allowdeleted: bool, Kind::Switch, "no", ignored("vendor access to deleted messages is not offered"), "Whether clients may reach deleted and expunged messages.";
    conversations: bool, Kind::Switch, "no", ignored("conversations are not kept"), "Whether conversations are tracked.";
}
"LMTP and Sieve" {
    lmtpsocket: String, Kind::Text, "{configdirectory}/socket/lmtp", ignored("the listen= of an entry of cyrus.conf says where LMTP is served"), "Unix socket that local deliveries go to.";
    lmtptxn_timeout: Duration, Kind::SECONDS, "5m", ON, "Bound on each step of a delivery through a backend.";
    lmtp_downcase_rcpt: bool, Kind::Switch, "yes", ON, "Whether recipients are made lower-case.";
    lmtp_fuzzy_mailbox_match: bool, Kind::Switch, "no", ON, "Whether user+detail goes to the closest folder that exists.";
    lmtp_catchall_mailbox: Option<String>, Kind::Text, "", ON, "User that takes mail for unknown ones.";
    postuser: String, Kind::Text, "", ON, "User part of the address of shared folders.";
    postmaster: String, Kind::Text, "postmaster", ON, "Address from which a script's refusal comes that goes out as a mail; without a domain it is of this server.";
    soft_noauth: bool, Kind::Switch, "yes", ON, "Whether unauthenticated LMTP clients get 430, not 530.";
    lmtp_over_quota_perm_failure: bool, Kind::Switch, "no", ON, "Whether a full mailbox refuses for good.";
    lmtp_strict_quota: bool, Kind::Switch, "no", ON, "Whether the quota counts the message being delivered.";
    lmtp_strict_rfc2821: bool, Kind::Switch, "yes", ON, "Whether 8-bit characters in addresses are refused; else they become X.";
    reject8bit: bool, Kind::Switch, "no", ON, "Whether 8-bit characters in headers are refused.";
    munge8bit: bool, Kind::Switch, "yes", ON, "Whether 8-bit characters in headers become X.";
    sieve_maxscripts: u32, Kind::COUNT, "5", ON, "Most Sieve scripts of a user. Whoever has more, since the number was lowered, may still change them.";
    sieve_maxscriptsize: u64, Kind::KBYTES, "32K", ON, "Largest Sieve script.";
    sieve_extensions: Vec<String>, Kind::List, "", ON, "Extensions that scripts may require when they are uploaded, and that ManageSieve announces; the same on all nodes. Unset: all. Scripts that are there run on.";
    sieve_utf8fileinto: bool, Kind::Switch, "no", ignored("names beyond ASCII are UTF-8; one in modified UTF-7 is taken so where there is such a mailbox"), "Whether folder names in scripts are UTF-8.";
    sieve_use_lmtp_reject: bool, Kind::Switch, "yes", ON, "Whether reject answers by LMTP, where its text is ASCII; else by a mail to the sender.";
    sieve_folder: String, Kind::Text, "#sieve", ignored("scripts are no mailbox; #sieve stays reserved"), "Mailbox that keeps scripts.";
    sieve_vacation_min_response: Duration, Kind::DAYS, "3d", ON, "Least time between two vacation answers to one sender, whatever a script says.";
    sieve_vacation_max_response: Duration, Kind::DAYS, "90d", ON, "Greatest time between them.";
    sieve_duplicate_max_expiration: Duration, Kind::DAYS, "90d", ON, "Longest that the test duplicate remembers, whatever a script says.";
    sieve_max_redirects: u32, Kind::COUNT, "32", ON, "Most addresses that one message is redirected to by a script; 0: none. Beyond Cyrus.";
    sievenotifier: Option<String>, Kind::Text, "", ignored("notify sends mail by itself, and knows no other method"), "Class of notifyd for notify.";
    mailnotifier: Option<String>, Kind::Text, "", ignored("there is no notification daemon"), "Class of notifyd for each message that is delivered.";
    rfc3028_strict: bool, Kind::Switch, "yes", ignored("address and envelope take the fields and parts that have addresses"), "Whether address and envelope take only those.";
    lmtp_exclude_specialuse: Vec<String>, Kind::List, "\\Snoozed", ON, "Special uses whose mailboxes get no mail by user+folder: it goes to INBOX.";
    smtp_backend: String, Kind::Choice(&["host", "sendmail"]), "sendmail", ON, "Which way the mail goes that scripts send: to the server of smtp_host, or through the program of sendmail.";
    smtp_host: String, Kind::Text, "localhost:587", ON, "Mail server for smtp_backend: host, as host or host:port. With /tls, TLS from the first byte; else by STARTTLS where that is offered. With /noauth, no login.";
    smtp_auth_authname: Option<String>, Kind::Text, "", ON, "User to log in as at smtp_host. Unset: no login.";
    smtp_auth_realm: Option<String>, Kind::Text, "", NO_REALM, "SASL realm of smtp_auth_authname.";
    smtp_auth_password: Option<String>, Kind::Text, "", ON, "Password of smtp_auth_authname.";
    sendmail: String, Kind::Text, "/usr/lib/sendmail", ON, "Program for smtp_backend: sendmail, run as sendmail -bs for each mail.";
    sendmail_auth_id: String, Kind::Text, "CYRUS_SENDMAIL_AUTH_ID", ON, "Variable of that program's environment with the user whose script sends the mail.";
    srs_domain: Option<String>, Kind::Text, "", ignored("senders of redirected mail are rewritten by the mail server, where they are"), "Domain of rewritten senders.";
    srs_secrets: Option<String>, Kind::Text, "", ignored("senders of redirected mail are rewritten by the mail server, where they are"), "Secrets that prove a rewritten sender.";
    srs_alwaysrewrite: bool, Kind::Switch, "no", ignored("senders of redirected mail are rewritten by the mail server, where they are"), "Whether local senders are rewritten too.";
    srs_hashlength: u32, Kind::COUNT, "0", ignored("senders of redirected mail are rewritten by the mail server, where they are"), "Characters of the proof.";
    srs_separator: Option<String>, Kind::Text, "", ignored("senders of redirected mail are rewritten by the mail server, where they are"), "What stands behind SRS0.";
}
"News (NNTP)" {
    newsprefix: Option<String>, Kind::Text, "", ON, "Mailbox below which groups are: with news, the mailbox news.comp.test is the group comp.test. Unset: every shared mailbox is a group, by its own name.";
    newsgroups: String, Kind::Text, "*", ON, "Which of these mailboxes are groups: patterns with commas or blanks between them, * and ? as in file names, ! in front of what is no group. The last one that matches decides.";
    newspostuser: Option<String>, Kind::Text, "", ON, "User by whose address mail gets into groups: with post, each article that comes in gets post+group@servername, as newsaddheaders says. Unset: nothing is added.";
    newsaddheaders: Vec<String>, Kind::Words(NEWS_HEADERS), "to", ON, "Fields that get those addresses.";
    allownewnews: bool, Kind::Switch, "no", ON, "Whether NEWNEWS is served, which looks at every group that its pattern matches.";
    nntptimeout: Duration, Kind::Duration { unit: 'm', floor: 180, min: 0 }, "3m", ON, "Idle time after which an NNTP session ends.";
    newsmaster: String, Kind::Text, "news", ignored("control messages are kept in control.<type>, and nothing that they say is done, as in Cyrus"), "User in whose name control messages are executed.";
    newspeer: Vec<String>, Kind::List, "", ignored("articles are not sent on to other servers: let them fetch, or feed them with a program of your own (innxmit, suck)"), "Servers that articles are fed to.";
    newsrc_db_path: Option<String>, Kind::Text, "", ignored("fetchnews is not part of this project; Cyrus's own, suck and others can feed this server"), "Database of fetchnews.";
}
"Authentication" {
    allowplaintext: bool, Kind::Switch, "no", ON, "Whether passwords may be sent without TLS.";
    plaintextloginpause: Duration, Kind::SECONDS, "0", ON, "Wait after each plaintext login.";
    plaintextloginalert: Option<String>, Kind::Text, "", ON, "Alert shown after each plaintext login.";
    failedloginpause: Duration, Kind::SECONDS, "3s", ON, "Wait before the next password is checked after a failed login, for the same user from the same address; doubled with each further failure, up to eight times. An address pays from its eleventh failure on, whatever the user. 0: nobody waits.";
    failedlogin_shared_addresses: Vec<String>, Kind::List, "127.0.0.0/8 ::1", ON, "Addresses and networks that many users come from (webmail, proxies): failed logins from there slow the one user only. Beyond Cyrus.";
    loginuseacl: bool, Kind::Switch, "no", ON, "Whether the a right on an INBOX lets one log in as its user.";
    password_db: String, Kind::Text, "{configdirectory}/murder/passwords", ON, "File of passwords, kept as SCRAM keys; see murder passwd. Beyond Cyrus.";
    password_iterations: u32, Kind::Int { min: 4096, max: 1_000_000 }, "60000", ON, "Rounds of PBKDF2 with which passwords are kept in password_db: more make a stolen file harder to use, and a login by LOGIN or PLAIN dearer: after a restart each user costs one hash. With more than 65536 no program with the SASL library of Cyrus, its nodes among them, can log in by SCRAM; without such clients, and with cores to spare, 600000 is what is advised. One that was kept with fewer is hashed anew when its user logs in with it by LOGIN, PLAIN or USER and PASS. Clients that use SCRAM compute as many. Beyond Cyrus.";
    sasl_mech_list: Vec<String>, Kind::List, "", ON, "Mechanisms offered. Unset: all that can work.";
    sasl_pwcheck_method: Vec<String>, Kind::List, "auxprop", ON, "Where passwords are checked: auxprop for password_db, saslauthd, or alwaystrue.";
    sasl_auxprop_plugin: Vec<String>, Kind::List, "", ignored("auxprop is password_db; import others with murder passwd --import"), "Plugins that find secrets.";
    sasl_sasldb_path: Option<String>, Kind::Text, "", ignored("import it with murder passwd --import"), "File of Cyrus SASL's secrets.";
    sasl_saslauthd_path: String, Kind::Text, "/var/run/saslauthd/mux", ON, "Socket of saslauthd.";
    sasl_auto_transition: bool, Kind::Switch, "no", ON, "Whether a password that saslauthd accepted is added to password_db.";
    sasl_external_altname: bool, Kind::Switch, "no", ON, "Whether EXTERNAL takes the first alternative name of a client's certificate that has no common name. Beyond Cyrus.";
    sasl_keytab: Option<String>, Kind::Text, "", ON, "File with the Kerberos keys of this server's services (imap, pop, lmtp, sieve, mupdate), for GSSAPI; the daemons' user must be able to read it. Unset: KRB5_KTNAME of the environment, else /etc/krb5.keytab. Without one, or without MIT's library (libgssapi-krb5-2), GSSAPI is not offered.";
    gssapi_realms: Vec<String>, Kind::List, "", ON, "Kerberos realms whose users are known here without the realm; those of others need loginrealms. Unset: default_realm of krb5.conf. Beyond Cyrus.";
    sasl_minimum_layer: u32, Kind::COUNT, "0", ON, "Least strength of encryption, in bits, for a login.";
    sasl_maximum_layer: u32, Kind::COUNT, "256", ignored("SASL layers are not offered: TLS does this"), "Greatest strength of a SASL layer.";
}
"TLS" {
    tls_required: bool, Kind::Switch, "no", ON, "Whether no login is possible before TLS.";
    allowstarttls: Option<bool>, Kind::Switch, "", ON, "Whether STARTTLS is offered. Unset: where certificate and key are set.";
    tls_server_cert: Option<String>, Kind::Text, "", ON, "Certificate chain of this server, PEM; several files separated by commas; disabled for none.";
    tls_server_key: Option<String>, Kind::Text, "", ON, "Private key of the certificate, PEM.";
    tls_client_ca_file: Option<String>, Kind::Text, "", ON, "Authorities that clients' certificates must come from, PEM.";
    tls_client_ca_dir: Option<String>, Kind::Text, "", ON, "Directory of such authorities.";
    tls_client_certs: ClientCerts, Kind::Choice(ClientCerts::WORDS), "optional", ON, "Whether clients must show a certificate.";
    tls_client_cert: Option<String>, Kind::Text, "", ON, "Certificate that this server shows to others; <shorthost>_client_cert goes before it.";
    tls_client_key: Option<String>, Kind::Text, "", ON, "Private key of that certificate; <shorthost>_client_key goes before it.";
    tls_server_ca_file: Option<String>, Kind::Text, "", ON, "Authorities that other servers' certificates must come from. Unset: any certificate is taken.";
    tls_server_ca_dir: Option<String>, Kind::Text, "", ON, "Directory of such authorities.";
    tls_versions: Vec<String>, Kind::Words(TLS_VERSIONS), "tls1_0 tls1_1 tls1_2 tls1_3", ON, "TLS versions; those before 1.2 are not served.";
    tls_ciphers: String, Kind::Text, "DEFAULT", ignored("the secure suites of TLS 1.2 and 1.3 are served"), "Ciphers, in OpenSSL's words.";
    tls_prefer_server_ciphers: bool, Kind::Switch, "no", ON, "Whether the server's order of ciphers counts.";
    tls_eccurve: String, Kind::Text, "prime256v1", ignored("X25519, P-256 and P-384 are served"), "Curve of key exchanges.";
    tls_session_timeout: Duration, Kind::MINUTES, "24h", ON, "Life of TLS sessions that may be resumed; 0 is none.";
    tls_crl_file: Option<String>, Kind::Text, "", ON, "Revoked client certificates, PEM.";
}
"Operation" {
    master_pid_file: String, Kind::Text, "{configdirectory}/master.pid", ON, "File with master's process id.";
    master_ready_file: String, Kind::Text, "{configdirectory}/master.ready", ON, "File that exists while services are up.";
    master_bind_errors_fatal: bool, Kind::Switch, "no", ON, "Whether a listener that cannot be opened at start ends master.";
    status_listen: Option<String>, Kind::Text, "", ON, "Address, host:port, of master's page of status, health and metrics. Beyond Cyrus.";
    drain_timeout: Duration, Kind::SECONDS, "10s", ON, "Time that running commands get to finish at shutdown. Beyond Cyrus.";
    idlesocket: String, Kind::Text, "{configdirectory}/socket/idle", ignored("sessions hear of changes within the process"), "Socket of idled.";
    notifysocket: String, Kind::Text, "{configdirectory}/socket/notify", ignored("there is no notification daemon"), "Socket of notifyd.";
    qosmarking: QosMarking, Kind::Choice(QosMarking::WORDS), "cs0", ON, "Class of service that packets of clients' connections are marked with.";
    shutdown_delay: Duration, Kind::SECONDS, "0", ON, "Time at shutdown in which the readiness endpoint fails and everything else goes on, so that a load balancer can send clients elsewhere first. Beyond Cyrus.";
    allow_addresses: Vec<String>, Kind::List, "", ON, "Addresses and networks (address/bits) whose clients are served; unset is all. As entry_allow_addresses for one service. Beyond Cyrus.";
    deny_addresses: Vec<String>, Kind::List, "", ON, "Addresses and networks whose clients are not served; goes before allow_addresses. Beyond Cyrus.";
    proxy_protocol_addresses: Vec<String>, Kind::List, "", ON, "Addresses and networks of the load balancers whose PROXY headers are believed, on services with -H; unset is all. Beyond Cyrus.";
    tcp_keepalive: bool, Kind::Switch, "no", ON, "Whether TCP keepalive is on; with MUPDATE it always is.";
    tcp_keepalive_cnt: u32, Kind::COUNT, "0", ON, "Probes before a connection counts as dead; 0 is the system's number.";
    tcp_keepalive_idle: Duration, Kind::SECONDS, "0", ON, "Idle time before the first probe; 0 is the system's.";
    tcp_keepalive_intvl: Duration, Kind::SECONDS, "0", ON, "Time between probes; 0 is the system's.";
    chatty: bool, Kind::Switch, "no", ON, "Whether protocol commands are logged.";
    telemetry_bysessionid: bool, Kind::Switch, "no", ignored("sessions are not recorded"), "Whether session records are named by session id.";
    debug_command: Option<String>, Kind::Text, "", ignored("no debugger is started"), "Command that -D of a service starts.";
    prometheus_enabled: bool, Kind::Switch, "no", ignored("status_listen serves metrics"), "Whether metrics are written to files.";
    prometheus_stats_dir: Option<String>, Kind::Text, "", ignored("status_listen serves metrics"), "Directory of those files.";
    prometheus_update_freq: Duration, Kind::SECONDS, "10s", ignored("status_listen serves metrics"), "How often they are written.";
    debug: bool, Kind::Switch, "no", ON, "Whether debug messages are logged.";
    auditlog: bool, Kind::Switch, "no", ignored("deliveries and changes of mailboxes are always logged"), "Whether each change of a mailbox or message is logged.";
    syslog_prefix: Option<String>, Kind::Text, "", ON, "Prefix of program names in logs.";
    syslog_facility: Option<String>, Kind::Text, "", ON, "Facility of logs that go to syslog or the journal: mail, daemon, news, user or local0 to local7. Unset: mail.";
    log_target: LogTarget, Kind::Choice(LogTarget::WORDS), "auto", ON, "Where logs go. auto is the journal under systemd, syslog in the background, else standard error; the environment's MURDER_LOG goes before it. Beyond Cyrus.";
}
}
