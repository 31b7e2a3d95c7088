//! GSSAPI (RFC 2743, RFC 2744) with the Kerberos mechanism alone.

use std::ffi::{CString, c_char, c_int, c_void};
use std::ptr::{null, null_mut};

use super::functions;
use crate::Error;

#[repr(C)]
struct Buffer {
    length: usize,
    value: *mut c_void,
}

#[repr(C)]
struct Oid {
    length: u32,
    elements: *const c_void,
}

#[repr(C)]
struct OidSet {
    count: usize,
    elements: *const Oid,
}

#[repr(C)]
struct KeyValue {
    key: *const c_char,
    value: *const c_char,
}

#[repr(C)]
struct KeyValues {
    count: u32,
    elements: *const KeyValue,
}

/// The library's own things: credentials, contexts, names.
type Handle = *mut c_void;

functions! {
    /// Of libgssapi_krb5.
    Functions {
        gss_acquire_cred_from: fn(*mut u32, Handle, u32, *const OidSet, c_int, *const KeyValues, *mut Handle, *mut Handle, *mut u32) -> u32;
        gss_accept_sec_context: fn(*mut u32, *mut Handle, Handle, *const Buffer, *const c_void, *mut Handle, *mut *const Oid, *mut Buffer, *mut u32, *mut u32, *mut Handle) -> u32;
        gss_init_sec_context: fn(*mut u32, Handle, *mut Handle, Handle, *const Oid, u32, u32, *const c_void, *const Buffer, *mut *const Oid, *mut Buffer, *mut u32, *mut u32) -> u32;
        gss_inquire_context: fn(*mut u32, Handle, *mut Handle, *mut Handle, *mut u32, *mut *const Oid, *mut u32, *mut c_int, *mut c_int) -> u32;
        gss_import_name: fn(*mut u32, *const Buffer, *const Oid, *mut Handle) -> u32;
        gss_display_name: fn(*mut u32, Handle, *mut Buffer, *mut *const Oid) -> u32;
        gss_display_status: fn(*mut u32, u32, c_int, *const Oid, *mut u32, *mut Buffer) -> u32;
        gss_wrap: fn(*mut u32, Handle, c_int, u32, *const Buffer, *mut c_int, *mut Buffer) -> u32;
        gss_unwrap: fn(*mut u32, Handle, *const Buffer, *mut Buffer, *mut c_int, *mut u32) -> u32;
        gss_release_buffer: fn(*mut u32, *mut Buffer) -> u32;
        gss_release_name: fn(*mut u32, *mut Handle) -> u32;
        gss_release_cred: fn(*mut u32, *mut Handle) -> u32;
        gss_delete_sec_context: fn(*mut u32, *mut Handle, *mut Buffer) -> u32;
    }
}

/// A server that accepts with any key of its keytab.
pub struct Acceptor {
    functions: &'static Functions,
    credential: Handle,
}

/// A client that is being let in.
pub struct Accepting {
    context: Context,
    peer: Option<String>,
}

/// A login of ours that is under way.
pub struct Initiating {
    context: Context,
    credential: Handle,
    target: Handle,
}

/// What a step gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stepped {
    /// For the peer, if not empty.
    pub token: Vec<u8>,
    /// The context is there; nothing more is expected for it.
    pub complete: bool,
}

struct Context {
    functions: &'static Functions,
    handle: Handle,
}

// SAFETY: a handle is the library's, which keeps nothing of it in the thread; all methods that change one take `&mut self`.
unsafe impl Send for Acceptor {}
// SAFETY: accepting only reads a credential, under the library's own lock.
unsafe impl Sync for Acceptor {}
// SAFETY: as for `Acceptor`.
unsafe impl Send for Context {}
// SAFETY: as for `Acceptor`.
unsafe impl Send for Initiating {}

impl Functions {
    pub(crate) fn acceptor(&'static self, keytab: Option<&str>) -> Result<Acceptor, Error> {
        let keytab = keytab.map(c_string).transpose()?;
        let element = keytab.as_ref().map(|name| KeyValue { key: c"keytab".as_ptr(), value: name.as_ptr() });
        let store = element.as_ref().map(|element| KeyValues { count: 1, elements: element });
        let credential = self.acquire(ACCEPT, store.as_ref())?;
        Ok(Acceptor { functions: self, credential })
    }

    pub(crate) fn initiate(&'static self, service: &str, host: &str) -> Result<Initiating, Error> {
        let name = format!("{service}@{host}");
        let (mut minor, mut target) = (0, null_mut());
        // SAFETY: the buffer lives through the call, which copies it.
        let major =
            unsafe { (self.gss_import_name)(&mut minor, &buffer(name.as_bytes()), &HOSTBASED, &mut target) };
        self.check(major, minor)?;
        let mut initiating = Initiating {
            context: Context { functions: self, handle: null_mut() },
            credential: null_mut(),
            target,
        };
        initiating.credential = self.acquire(INITIATE, None)?;
        Ok(initiating)
    }

    fn acquire(&self, usage: c_int, store: Option<&KeyValues>) -> Result<Handle, Error> {
        let mechanisms = OidSet { count: 1, elements: &KERBEROS };
        let (mut minor, mut credential) = (0, null_mut());
        let store = store.map_or(null(), std::ptr::from_ref);
        // SAFETY: everything pointed to lives through the call; nobody's name is a null handle.
        let major = unsafe {
            (self.gss_acquire_cred_from)(
                &mut minor,
                null_mut(),
                FOR_EVER,
                &mechanisms,
                usage,
                store,
                &mut credential,
                null_mut(),
                null_mut(),
            )
        };
        self.check(major, minor).map(|()| credential)
    }

    fn check(&self, major: u32, minor: u32) -> Result<(), Error> {
        if major & ERRORS == 0 {
            return Ok(());
        }
        let general = self.status(major, OF_GSS, null());
        let detail = self.status(minor, OF_MECHANISM, &KERBEROS);
        Err(Error(match detail.is_empty() || minor == 0 {
            true => general,
            false => format!("{general}: {detail}"),
        }))
    }

    fn status(&self, code: u32, kind: c_int, mechanism: *const Oid) -> String {
        let (mut more, mut texts) = (0, Vec::new());
        for _ in 0..STATUS_TEXTS {
            let (mut minor, mut text) = (0, EMPTY);
            // SAFETY: the mechanism is null or ours.
            let major =
                unsafe { (self.gss_display_status)(&mut minor, code, kind, mechanism, &mut more, &mut text) };
            texts.push(String::from_utf8_lossy(&self.take(text)).into_owned());
            if more == 0 || major & ERRORS != 0 {
                break;
            }
        }
        texts.join(", ")
    }

    /// What the library wrote, which is given back to it.
    fn take(&self, mut buffer: Buffer) -> Vec<u8> {
        let taken = match buffer.value.is_null() {
            true => Vec::new(),
            // SAFETY: the library says how much it wrote there.
            false => unsafe { std::slice::from_raw_parts(buffer.value.cast::<u8>(), buffer.length) }.to_vec(),
        };
        let mut minor = 0;
        // SAFETY: the buffer is the library's; an empty one is allowed.
        unsafe { (self.gss_release_buffer)(&mut minor, &mut buffer) };
        taken
    }

    /// The text of a name, which is given back.
    fn name(&self, mut name: Handle) -> Result<String, Error> {
        let (mut minor, mut text) = (0, EMPTY);
        // SAFETY: the name is the library's.
        let major = unsafe { (self.gss_display_name)(&mut minor, name, &mut text, null_mut()) };
        let shown = self.check(major, minor);
        let text = self.take(text);
        // SAFETY: it is given back once.
        unsafe { (self.gss_release_name)(&mut minor, &mut name) };
        shown?;
        String::from_utf8(text).map_err(|_| Error("a name that is not UTF-8".to_owned()))
    }
}

impl Acceptor {
    /// Begins with a client.
    pub fn begin(&self) -> Accepting {
        Accepting { context: Context { functions: self.functions, handle: null_mut() }, peer: None }
    }
}

impl Accepting {
    /// Takes the client's next token. An error ends it.
    ///
    /// # Errors
    /// The token is none, or its ticket is for no key of ours, is too old, or was shown before.
    pub fn step(&mut self, acceptor: &Acceptor, token: &[u8]) -> Result<Stepped, Error> {
        let functions = self.context.functions;
        let (mut minor, mut out, mut name, mut mechanism) = (0, EMPTY, null_mut(), null());
        // SAFETY: the context is null or the library's; what is not wanted of the results is null.
        let major = unsafe {
            (functions.gss_accept_sec_context)(
                &mut minor,
                &mut self.context.handle,
                acceptor.credential,
                &buffer(token),
                null(),
                &mut name,
                &mut mechanism,
                &mut out,
                null_mut(),
                null_mut(),
                null_mut(),
            )
        };
        let stepped = functions.check(major, minor);
        let token = functions.take(out);
        let peer = (!name.is_null()).then(|| functions.name(name));
        stepped?;
        let complete = major & CONTINUE == 0;
        if complete {
            self.peer = peer.transpose()?;
        }
        Ok(Stepped { token, complete })
    }

    /// Who the client is: its principal with the realm, in Kerberos's spelling. None before the context is complete.
    pub fn peer(&self) -> Option<&str> {
        self.peer.as_deref()
    }

    /// A message for the peer, protected against change.
    ///
    /// # Errors
    /// The context is not complete, or has expired.
    pub fn wrap(&mut self, message: &[u8]) -> Result<Vec<u8>, Error> {
        self.context.wrap(message)
    }

    /// The peer's message, if it has not been changed.
    ///
    /// # Errors
    /// It has been, or the context is not complete.
    pub fn unwrap(&mut self, message: &[u8]) -> Result<Vec<u8>, Error> {
        self.context.unwrap(message)
    }
}

impl Initiating {
    /// The answer to the server's token; none at first. May ask the KDC for tickets.
    ///
    /// # Errors
    /// There is no ticket to be had, or the server is not who it should be.
    pub fn step(&mut self, token: Option<&[u8]>) -> Result<Stepped, Error> {
        let functions = self.context.functions;
        let input = token.map(buffer);
        let (mut minor, mut out) = (0, EMPTY);
        // SAFETY: handles are null or the library's; what is not wanted of the results is null.
        let major = unsafe {
            (functions.gss_init_sec_context)(
                &mut minor,
                self.credential,
                &mut self.context.handle,
                self.target,
                &KERBEROS,
                MUTUAL | REPLAY | SEQUENCE | INTEGRITY,
                0,
                null(),
                input.as_ref().map_or(null(), std::ptr::from_ref),
                null_mut(),
                &mut out,
                null_mut(),
                null_mut(),
            )
        };
        let stepped = functions.check(major, minor);
        let token = functions.take(out);
        stepped.map(|()| Stepped { token, complete: major & CONTINUE == 0 })
    }

    /// Who we are: the principal, with its realm. Once the context is complete.
    ///
    /// # Errors
    /// There was none.
    pub fn identity(&self) -> Result<String, Error> {
        let functions = self.context.functions;
        if self.context.handle.is_null() {
            return Err(Error("nothing has begun".to_owned()));
        }
        let (mut minor, mut name) = (0, null_mut());
        let unwanted = null_mut;
        // SAFETY: the context is the library's; what is not wanted of the results is null.
        let major = unsafe {
            (functions.gss_inquire_context)(
                &mut minor,
                self.context.handle,
                &mut name,
                unwanted(),
                null_mut(),
                null_mut(),
                null_mut(),
                null_mut(),
                null_mut(),
            )
        };
        functions.check(major, minor)?;
        functions.name(name)
    }

    /// As [`Accepting::wrap`].
    ///
    /// # Errors
    /// The same.
    pub fn wrap(&mut self, message: &[u8]) -> Result<Vec<u8>, Error> {
        self.context.wrap(message)
    }

    /// As [`Accepting::unwrap`].
    ///
    /// # Errors
    /// The same.
    pub fn unwrap(&mut self, message: &[u8]) -> Result<Vec<u8>, Error> {
        self.context.unwrap(message)
    }
}

impl Context {
    fn wrap(&mut self, message: &[u8]) -> Result<Vec<u8>, Error> {
        self.convert(|minor, handle, out| {
            let functions = self.functions;
            // SAFETY: the context is the library's.
            unsafe { (functions.gss_wrap)(minor, handle, 0, 0, &buffer(message), null_mut(), out) }
        })
    }

    fn unwrap(&mut self, message: &[u8]) -> Result<Vec<u8>, Error> {
        self.convert(|minor, handle, out| {
            let functions = self.functions;
            // SAFETY: the context is the library's.
            unsafe { (functions.gss_unwrap)(minor, handle, &buffer(message), out, null_mut(), null_mut()) }
        })
    }

    fn convert(&self, call: impl FnOnce(&mut u32, Handle, &mut Buffer) -> u32) -> Result<Vec<u8>, Error> {
        if self.handle.is_null() {
            return Err(Error("the context is not complete".to_owned()));
        }
        let (mut minor, mut out) = (0, EMPTY);
        let major = call(&mut minor, self.handle, &mut out);
        let done = self.functions.check(major, minor);
        let out = self.functions.take(out);
        done.map(|()| out)
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        let mut minor = 0;
        if !self.handle.is_null() {
            // SAFETY: it is given back once; no token is wanted.
            unsafe { (self.functions.gss_delete_sec_context)(&mut minor, &mut self.handle, null_mut()) };
        }
    }
}

impl Drop for Acceptor {
    fn drop(&mut self) {
        let mut minor = 0;
        // SAFETY: it is given back once.
        unsafe { (self.functions.gss_release_cred)(&mut minor, &mut self.credential) };
    }
}

impl Drop for Initiating {
    fn drop(&mut self) {
        let functions = self.context.functions;
        let mut minor = 0;
        // SAFETY: both are given back once; null ones are allowed.
        unsafe {
            (functions.gss_release_name)(&mut minor, &mut self.target);
            (functions.gss_release_cred)(&mut minor, &mut self.credential);
        }
    }
}

impl std::fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Acceptor")
    }
}

/// Bytes of ours for a call that only reads them.
fn buffer(bytes: &[u8]) -> Buffer {
    Buffer { length: bytes.len(), value: bytes.as_ptr().cast_mut().cast() }
}

pub(super) fn c_string(text: &str) -> Result<CString, Error> {
    CString::new(text).map_err(|_| Error("a name with a NUL in it".to_owned()))
}

const EMPTY: Buffer = Buffer { length: 0, value: null_mut() };

/// 1.2.840.113554.1.2.2, Kerberos 5 (RFC 4121): and no other, SPNEGO above all (RFC 4752 section 3).
static KERBEROS: Oid = oid(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02]);
/// 1.2.840.113554.1.2.1.4: `service@host` (RFC 2743 section 4.1).
static HOSTBASED: Oid = oid(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x01, 0x04]);

const fn oid(bytes: &'static [u8]) -> Oid {
    Oid { length: bytes.len() as u32, elements: bytes.as_ptr().cast() }
}

// SAFETY: it points to constants.
unsafe impl Sync for Oid {}

const INITIATE: c_int = 1;
const ACCEPT: c_int = 2;
const OF_GSS: c_int = 1;
const OF_MECHANISM: c_int = 2;
const FOR_EVER: u32 = u32::MAX;
const CONTINUE: u32 = 1;
/// Calling errors and routine errors (RFC 2744 section 3.9.1).
const ERRORS: u32 = 0xffff_0000;
const MUTUAL: u32 = 2;
const REPLAY: u32 = 4;
const SEQUENCE: u32 = 8;
const INTEGRITY: u32 = 32;
/// One status has no more texts.
const STATUS_TEXTS: u32 = 8;
