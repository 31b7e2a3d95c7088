//! libkrb5: keytabs, realms, and tickets that are shown without GSSAPI.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::null_mut;

use super::functions;
use super::gss::c_string;
use crate::Error;

#[repr(C)]
struct Data {
    magic: i32,
    length: u32,
    data: *mut c_char,
}

/// `krb5_keytab_entry`, with its `krb5_keyblock`.
#[repr(C)]
struct Entry {
    magic: i32,
    principal: Handle,
    timestamp: i32,
    version: u32,
    key_magic: i32,
    key_type: i32,
    key_length: u32,
    key_contents: *mut u8,
}

/// The beginning of `krb5_authenticator`.
#[repr(C)]
struct Authenticator {
    magic: i32,
    client: Handle,
}

type Handle = *mut c_void;

functions! {
    /// Of libkrb5.
    Functions {
        krb5_init_context: fn(*mut Handle) -> i32;
        krb5_free_context: fn(Handle);
        krb5_get_error_message: fn(Handle, i32) -> *const c_char;
        krb5_free_error_message: fn(Handle, *const c_char);
        krb5_get_default_realm: fn(Handle, *mut *mut c_char) -> i32;
        krb5_free_default_realm: fn(Handle, *mut c_char);
        krb5_kt_default_name: fn(Handle, *mut c_char, c_int) -> i32;
        krb5_kt_default: fn(Handle, *mut Handle) -> i32;
        krb5_kt_client_default: fn(Handle, *mut Handle) -> i32;
        krb5_kt_have_content: fn(Handle, Handle) -> i32;
        krb5_kt_resolve: fn(Handle, *const c_char, *mut Handle) -> i32;
        krb5_kt_start_seq_get: fn(Handle, Handle, *mut Handle) -> i32;
        krb5_kt_next_entry: fn(Handle, Handle, *mut Entry, *mut Handle) -> i32;
        krb5_kt_end_seq_get: fn(Handle, Handle, *mut Handle) -> i32;
        krb5_free_keytab_entry_contents: fn(Handle, *mut Entry) -> i32;
        krb5_kt_close: fn(Handle, Handle) -> i32;
        krb5_cc_default: fn(Handle, *mut Handle) -> i32;
        krb5_cc_get_principal: fn(Handle, Handle, *mut Handle) -> i32;
        krb5_cc_close: fn(Handle, Handle) -> i32;
        krb5_free_principal: fn(Handle, Handle);
        krb5_unparse_name: fn(Handle, Handle, *mut *mut c_char) -> i32;
        krb5_free_unparsed_name: fn(Handle, *mut c_char);
        krb5_auth_con_init: fn(Handle, *mut Handle) -> i32;
        krb5_auth_con_free: fn(Handle, Handle) -> i32;
        krb5_auth_con_getauthenticator: fn(Handle, Handle, *mut *mut Authenticator) -> i32;
        krb5_free_authenticator: fn(Handle, *mut Authenticator);
        krb5_rd_req: fn(Handle, *mut Handle, *const Data, Handle, Handle, *mut i32, *mut Handle) -> i32;
        krb5_mk_rep: fn(Handle, Handle, *mut Data) -> i32;
        krb5_free_data_contents: fn(Handle, *mut Data);
    }
}

/// A key of a keytab: whose, and which of those that it has had.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// `imap/be1.example.org@EXAMPLE.ORG`.
    pub principal: String,
    pub version: u32,
}

/// Somebody who has shown a ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Greeted {
    /// The principal with its realm, in Kerberos's spelling.
    pub client: String,
    /// The proof that we are who the client means (AP-REP), where it wants one.
    pub reply: Option<Vec<u8>>,
}

/// The library's context, for the time of one call.
struct Session<'a> {
    functions: &'a Functions,
    context: Handle,
}

/// A keytab that is open.
struct Keytab<'a> {
    session: &'a Session<'a>,
    handle: Handle,
}

/// One authentication of libkrb5's.
struct Exchange<'a> {
    session: &'a Session<'a>,
    handle: Handle,
}

impl Functions {
    fn session(&self) -> Result<Session<'_>, Error> {
        let mut context = null_mut();
        // SAFETY: it makes a context.
        match unsafe { (self.krb5_init_context)(&mut context) } {
            0 => Ok(Session { functions: self, context }),
            // There is no context that could have a text for it.
            code => Err(Error(format!("krb5.conf cannot be used (error {code})"))),
        }
    }

    pub(crate) fn default_realm(&self) -> Result<String, Error> {
        let session = self.session()?;
        let mut realm = null_mut();
        // SAFETY: the context is open; the text is the library's until it is given back.
        unsafe {
            session.check((self.krb5_get_default_realm)(session.context, &mut realm))?;
            let text = CStr::from_ptr(realm).to_string_lossy().into_owned();
            (self.krb5_free_default_realm)(session.context, realm);
            Ok(text)
        }
    }

    pub(crate) fn default_keytab(&self) -> Result<String, Error> {
        let session = self.session()?;
        let mut name = [0u8; LONGEST_NAME];
        // SAFETY: the library writes no more than it is told, with a NUL at the end.
        let code = unsafe {
            (self.krb5_kt_default_name)(session.context, name.as_mut_ptr().cast(), LONGEST_NAME as c_int)
        };
        session.check(code)?;
        let name = CStr::from_bytes_until_nul(&name).map(CStr::to_string_lossy);
        name.map(|name| name.into_owned()).map_err(|_| Error("the keytab's name is too long".to_owned()))
    }

    pub(crate) fn keys(&self, name: Option<&str>) -> Result<Vec<Key>, Error> {
        let session = self.session()?;
        let keytab = session.keytab(name)?;
        let (mut keys, mut cursor) = (Vec::new(), null_mut());
        // SAFETY: the keytab is open; each entry is the library's until it is given back, and so is the cursor.
        unsafe {
            session.check((self.krb5_kt_start_seq_get)(session.context, keytab.handle, &mut cursor))?;
            let mut found = Ok(());
            loop {
                let mut entry: Entry = std::mem::zeroed();
                if (self.krb5_kt_next_entry)(session.context, keytab.handle, &mut entry, &mut cursor) != 0 {
                    break;
                }
                let version = entry.version;
                let principal = session.name(entry.principal);
                (self.krb5_free_keytab_entry_contents)(session.context, &mut entry);
                match principal {
                    Ok(principal) => keys.push(Key { principal, version }),
                    Err(error) => found = Err(error),
                }
            }
            (self.krb5_kt_end_seq_get)(session.context, keytab.handle, &mut cursor);
            found.map(|()| keys)
        }
    }

    pub(crate) fn has_identity(&self) -> bool {
        self.session().is_ok_and(|session| session.has_tickets() || session.has_client_keytab())
    }

    pub(crate) fn greet(&self, keytab: Option<&str>, request: &[u8]) -> Result<Greeted, Error> {
        let length = u32::try_from(request.len()).map_err(|_| Error("a ticket without end".to_owned()))?;
        let session = self.session()?;
        let keytab = session.keytab(keytab)?;
        let mut exchange = Exchange { session: &session, handle: null_mut() };
        let request = Data { magic: 0, length, data: request.as_ptr().cast_mut().cast() };
        let mut options = 0;
        // SAFETY: the request lives through the call; no server's name is any of the keytab's, and the ticket is not wanted.
        unsafe {
            session.check((self.krb5_auth_con_init)(session.context, &mut exchange.handle))?;
            session.check((self.krb5_rd_req)(
                session.context,
                &mut exchange.handle,
                &request,
                null_mut(),
                keytab.handle,
                &mut options,
                null_mut(),
            ))?;
        }
        let client = exchange.client()?;
        let reply = (options & MUTUAL_REQUIRED != 0).then(|| exchange.reply()).transpose()?;
        Ok(Greeted { client, reply })
    }
}

impl Session<'_> {
    fn check(&self, code: i32) -> Result<(), Error> {
        if code == 0 {
            return Ok(());
        }
        // SAFETY: the text is the library's until it is given back.
        unsafe {
            let text = (self.functions.krb5_get_error_message)(self.context, code);
            if text.is_null() {
                return Err(Error(format!("error {code}")));
            }
            let error = Error(CStr::from_ptr(text).to_string_lossy().into_owned());
            (self.functions.krb5_free_error_message)(self.context, text);
            Err(error)
        }
    }

    fn keytab(&self, name: Option<&str>) -> Result<Keytab<'_>, Error> {
        let name = name.map(c_string).transpose()?;
        let mut handle = null_mut();
        // SAFETY: the name lives through the call.
        let code = unsafe {
            match &name {
                None => (self.functions.krb5_kt_default)(self.context, &mut handle),
                Some(name) => (self.functions.krb5_kt_resolve)(self.context, name.as_ptr(), &mut handle),
            }
        };
        self.check(code).map(|()| Keytab { session: self, handle })
    }

    fn has_client_keytab(&self) -> bool {
        let mut handle = null_mut();
        // SAFETY: the context is open.
        if unsafe { (self.functions.krb5_kt_client_default)(self.context, &mut handle) } != 0 {
            return false;
        }
        let keytab = Keytab { session: self, handle };
        // SAFETY: the keytab is open.
        unsafe { (self.functions.krb5_kt_have_content)(self.context, keytab.handle) == 0 }
    }

    fn has_tickets(&self) -> bool {
        let (mut cache, mut principal) = (null_mut(), null_mut());
        // SAFETY: cache and name are the library's until they are given back.
        unsafe {
            if (self.functions.krb5_cc_default)(self.context, &mut cache) != 0 {
                return false;
            }
            let found = (self.functions.krb5_cc_get_principal)(self.context, cache, &mut principal) == 0;
            if found {
                (self.functions.krb5_free_principal)(self.context, principal);
            }
            (self.functions.krb5_cc_close)(self.context, cache);
            found
        }
    }

    /// # Safety
    /// The principal is the library's.
    unsafe fn name(&self, principal: Handle) -> Result<String, Error> {
        let mut text = null_mut();
        // SAFETY: the text is the library's until it is given back.
        unsafe {
            self.check((self.functions.krb5_unparse_name)(self.context, principal, &mut text))?;
            let name = CStr::from_ptr(text).to_str().map(str::to_owned);
            (self.functions.krb5_free_unparsed_name)(self.context, text);
            name.map_err(|_| Error("a name that is not UTF-8".to_owned()))
        }
    }
}

impl Exchange<'_> {
    /// Whose ticket it was.
    fn client(&self) -> Result<String, Error> {
        let (session, functions) = (self.session, self.session.functions);
        let mut shown: *mut Authenticator = null_mut();
        // SAFETY: what the client wrote has been read and checked; it is the library's until it is given back.
        unsafe {
            session.check((functions.krb5_auth_con_getauthenticator)(
                session.context,
                self.handle,
                &mut shown,
            ))?;
            let name = session.name((*shown).client);
            (functions.krb5_free_authenticator)(session.context, shown);
            name
        }
    }

    fn reply(&self) -> Result<Vec<u8>, Error> {
        let (session, functions) = (self.session, self.session.functions);
        let mut reply = Data { magic: 0, length: 0, data: null_mut() };
        // SAFETY: the library says how much it wrote, and gets it back.
        unsafe {
            session.check((functions.krb5_mk_rep)(session.context, self.handle, &mut reply))?;
            let bytes = std::slice::from_raw_parts(reply.data.cast::<u8>(), reply.length as usize).to_vec();
            (functions.krb5_free_data_contents)(session.context, &mut reply);
            Ok(bytes)
        }
    }
}

impl Drop for Exchange<'_> {
    fn drop(&mut self) {
        if !self.handle.is_null() {
            // SAFETY: it is given back once.
            unsafe { (self.session.functions.krb5_auth_con_free)(self.session.context, self.handle) };
        }
    }
}

impl Drop for Keytab<'_> {
    fn drop(&mut self) {
        // SAFETY: it is given back once.
        unsafe { (self.session.functions.krb5_kt_close)(self.session.context, self.handle) };
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        // SAFETY: it is given back once, after all that was made with it.
        unsafe { (self.functions.krb5_free_context)(self.context) };
    }
}

/// AP_OPTS_MUTUAL_REQUIRED.
const MUTUAL_REQUIRED: i32 = 0x2000_0000;
const LONGEST_NAME: usize = 4096;
