//! The calls of MIT's libraries: the only unsafe code of this crate. What goes out of here are owned values and texts.
//!
//! What is relied on, and holds for every call here:
//! - the types are those of `gssapi/gssapi.h` and `krb5/krb5.h` of the libraries' major versions, which their names carry;
//! - a handle is made by the library, is used by one thread at a time, and is given back once, when its owner is dropped;
//! - what the library wrote is copied before it is given back, and its length is the library's own;
//! - functions stay where they are: a library that was loaded is never unloaded.
#![allow(unsafe_code)]

pub(crate) mod gss;
pub(crate) mod kerberos;

use libloading::{Library, Symbol};

/// A library that stays for good.
fn load(name: &str) -> Result<&'static Library, libloading::Error> {
    // SAFETY: the initialisers of these libraries have no requirements.
    let library = unsafe { Library::new(name) }?;
    Ok(Box::leak(Box::new(library)))
}

/// A function, by its name with a NUL at the end.
///
/// # Safety
/// `F` is the function's type.
unsafe fn find<F: Copy + 'static>(
    library: &'static Library,
    name: &'static str,
) -> Result<F, libloading::Error> {
    // SAFETY: the caller's.
    let symbol: Symbol<'static, F> = unsafe { library.get(name.as_bytes()) }?;
    Ok(*symbol)
}

/// Defines a table of a library's functions, and how it is filled.
macro_rules! functions {
    ($(#[$doc:meta])* $name:ident { $($function:ident: fn($($argument:ty),* $(,)?) $(-> $result:ty)?;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub(crate) struct $name { $($function: unsafe extern "C" fn($($argument),*) $(-> $result)?,)* }

        impl $name {
            pub(crate) fn load(library: &str) -> Result<$name, libloading::Error> {
                let library = crate::native::load(library)?;
                // SAFETY: the types in the table are those of the headers.
                unsafe {
                    Ok($name { $($function: crate::native::find(library, concat!(stringify!($function), "\0"))?,)* })
                }
            }
        }
    };
}
use functions;
