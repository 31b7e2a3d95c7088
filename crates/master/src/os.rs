//! What the system offers only through unsafe calls: fork and exec of a child, detaching from the terminal, the user table.
//!
//! [`spawn`] prepares everything that a child needs (argument and environment blocks, the table of descriptors) before `fork`, so
//! that the child itself makes only async-signal-safe calls. It cannot be `std::process::Command`: `LISTEN_PID` has to hold the
//! child's own process id, which only the child knows, and its environment block is already built by then. The block therefore
//! has a gap that the child fills in.
//!
//! master is single-threaded, so no lock can be held by another thread across the fork.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, OsStr};
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::process::Pid;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::limits::GROUPS_LIMIT;

/// A user of this machine, with all groups that it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The name that it was looked up by.
    pub name: String,
    pub uid: u32,
    /// The primary group.
    pub gid: u32,
    /// All groups, the primary one included.
    pub groups: Vec<u32>,
}

/// A program about to be started as a child of master.
#[derive(Debug)]
pub struct Launch<'a> {
    /// What is executed.
    pub path: &'a Path,
    /// The argument vector, with the name that the program sees first.
    pub argv: &'a [String],
    /// Added to, or replacing variables of, master's own environment.
    pub env: &'a [(String, String)],
    /// Given to the child as descriptors 3, 4, 5, …; everything else but 0 to 2 is closed.
    pub fds: &'a [BorrowedFd<'a>],
    /// Set `LISTEN_PID` to the child's process id.
    pub listen_pid: bool,
    /// The user to become; none: stay what master is.
    pub user: Option<&'a User>,
    /// The soft limit of open files, capped at the hard one; none: unchanged.
    pub max_fds: Option<u64>,
    /// Added to the niceness.
    pub nice: i32,
    /// Send SIGTERM to the child when master dies. For programs that do not watch the lifeline.
    pub die_with_master: bool,
}

/// Starts a child in a process group of its own, with default signal dispositions.
///
/// Returns when `execve` has succeeded. An error says which step failed, in the child too.
pub fn spawn(launch: &Launch<'_>) -> io::Result<Pid> {
    let path = c_string(launch.path.as_os_str())?;
    let argv: Vec<CString> =
        launch.argv.iter().map(|word| c_string(OsStr::new(word))).collect::<io::Result<_>>()?;
    let mut environment = Environment::new(launch)?;
    let (mut reader, writer) = io::pipe()?;
    let prepared = Prepared {
        path: &path,
        argv: argv.iter().map(|word| word.as_ptr()).chain([std::ptr::null()]).collect(),
        envp: environment.pointers(),
        listen_pid: environment.listen_pid_digits(),
        sources: launch.fds.iter().map(AsRawFd::as_raw_fd).collect(),
        moved: vec![-1; launch.fds.len()],
        report: writer.as_raw_fd(),
        parent: rustix::process::getpid().as_raw_nonzero().get(),
        files: launch.max_fds.map(files_limit),
    };
    let groups: Vec<libc::gid_t> = launch.user.map(|user| user.groups.clone()).unwrap_or_default();
    let pid = {
        let _masked = SignalMask::block_all()?;
        // SAFETY: the process is single-threaded, and the child calls only async-signal-safe functions until it execs or exits.
        match unsafe { libc::fork() } {
            -1 => return Err(io::Error::last_os_error()),
            0 => unsafe { become_program(prepared, launch, &groups) },
            pid => pid,
        }
    };
    drop(writer);
    let pid = Pid::from_raw(pid).ok_or_else(|| io::Error::other("fork returned no process id"))?;
    let mut report = [0u8; 4];
    match reader.read_exact(&mut report) {
        Err(_) => Ok(pid),
        Ok(()) => {
            let _ = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty());
            Err(io::Error::from_raw_os_error(i32::from_ne_bytes(report)))
        }
    }
}

/// The child's end of [`detach`]: tells the waiting parent how the start went.
#[derive(Debug)]
pub struct Handover {
    writer: io::PipeWriter,
}

impl Handover {
    /// Lets the parent exit with `status`. Dropping a handover without this makes the parent exit with 1.
    pub fn finish(mut self, status: u8) {
        let _ = self.writer.write_all(&[status]);
    }
}

/// Asks for no huge pages, here and in all children to come: the kernel clears two megabytes for the first byte that an
/// allocator touches of each, which is most of what a daemon with an empty database does at its start, and would keep.
pub fn without_huge_pages() {
    // SAFETY: plain values. A kernel that does not know it says so, and nothing is lost.
    unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0) };
}

/// Goes into the background: the caller continues in a new session, and the parent stays until [`Handover::finish`].
///
/// To be called before any thread or runtime exists.
pub fn detach() -> io::Result<Handover> {
    let (mut reader, writer) = io::pipe()?;
    // SAFETY: called while single-threaded; both sides go on as ordinary Rust programs.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            drop(reader);
            rustix::process::setsid()?;
            Ok(Handover { writer })
        }
        _ => {
            drop(writer);
            let mut status = [1u8];
            let _ = reader.read_exact(&mut status);
            std::process::exit(i32::from(status[0]));
        }
    }
}

/// Looks a user up by name, in whatever the system's name service consults.
pub fn user_by_name(name: &str) -> Option<User> {
    let c_name = CString::new(name).ok()?;
    let (uid, gid) = passwd_entry(|entry, buffer, length, found| {
        // SAFETY: all pointers are valid for the call, and the buffer has `length` bytes.
        unsafe { libc::getpwnam_r(c_name.as_ptr(), entry, buffer, length, found) }
    })
    .map(|(_, uid, gid)| (uid, gid))?;
    let groups = all_groups(|groups, count| {
        // SAFETY: `groups` holds `count` elements, and the call writes at most that many.
        unsafe { libc::getgrouplist(c_name.as_ptr(), gid, groups.as_mut_ptr(), count) }
    });
    Some(User { name: name.to_owned(), uid, gid, groups: groups.unwrap_or_else(|| vec![gid]) })
}

/// Asks as getgrouplist(3) is asked: it says -1, and how many there are, until there is room for all.
fn all_groups(
    mut ask: impl FnMut(&mut Vec<libc::gid_t>, &mut libc::c_int) -> libc::c_int,
) -> Option<Vec<libc::gid_t>> {
    let mut room = 64;
    while room <= GROUPS_LIMIT {
        let mut groups = vec![0 as libc::gid_t; room];
        let mut count = libc::c_int::try_from(room).ok()?;
        let found = ask(&mut groups, &mut count);
        let count = usize::try_from(count).unwrap_or(0);
        if found >= 0 && count <= room {
            groups.truncate(count);
            return Some(groups);
        }
        room = count.max(room * 2);
    }
    None
}

/// The name of a user id, when it has one.
pub fn user_name(uid: u32) -> Option<String> {
    passwd_entry(|entry, buffer, length, found| {
        // SAFETY: all pointers are valid for the call, and the buffer has `length` bytes.
        unsafe { libc::getpwuid_r(uid, entry, buffer, length, found) }
    })
    .map(|(name, _, _)| name)
}

/// The id of a group.
pub fn group_by_name(name: &str) -> Option<u32> {
    let c_name = CString::new(name).ok()?;
    let mut buffer = vec![0 as libc::c_char; 64 * 1024];
    // SAFETY: a group of zeroes and null pointers is a valid value of this plain C struct.
    let mut entry: libc::group = unsafe { std::mem::zeroed() };
    let mut found = std::ptr::null_mut();
    // SAFETY: all pointers are valid for the call, and the buffer has the length given.
    let code = unsafe {
        libc::getgrnam_r(c_name.as_ptr(), &mut entry, buffer.as_mut_ptr(), buffer.len(), &mut found)
    };
    (code == 0 && !found.is_null()).then_some(entry.gr_gid)
}

type PasswdCall<'a> =
    dyn FnMut(*mut libc::passwd, *mut libc::c_char, usize, *mut *mut libc::passwd) -> libc::c_int + 'a;

fn passwd_entry(
    mut call: impl FnMut(*mut libc::passwd, *mut libc::c_char, usize, *mut *mut libc::passwd) -> libc::c_int,
) -> Option<(String, u32, u32)> {
    let call: &mut PasswdCall<'_> = &mut call;
    let mut buffer = vec![0 as libc::c_char; 64 * 1024];
    // SAFETY: a passwd of zeroes and null pointers is a valid value of this plain C struct.
    let mut entry: libc::passwd = unsafe { std::mem::zeroed() };
    let mut found = std::ptr::null_mut();
    let code = call(&mut entry, buffer.as_mut_ptr(), buffer.len(), &mut found);
    if code != 0 || found.is_null() {
        return None;
    }
    // SAFETY: the call succeeded, so pw_name points to a C string inside `buffer`.
    let name = unsafe { CStr::from_ptr(entry.pw_name) }.to_string_lossy().into_owned();
    Some((name, entry.pw_uid, entry.pw_gid))
}

/// Everything that the child touches between fork and exec.
struct Prepared<'a> {
    path: &'a CStr,
    argv: Vec<*const libc::c_char>,
    envp: Vec<*const libc::c_char>,
    /// Where in the environment the digits of `LISTEN_PID` go.
    listen_pid: Option<*mut u8>,
    sources: Vec<RawFd>,
    moved: Vec<RawFd>,
    /// Gets the errno of a failure.
    report: RawFd,
    parent: libc::pid_t,
    files: Option<libc::rlimit>,
}

/// The child after fork: sets itself up and executes the program, or reports why it could not.
///
/// # Safety
/// Only to be called in the child of a fork, with all signals blocked.
unsafe fn become_program(mut prepared: Prepared<'_>, launch: &Launch<'_>, groups: &[libc::gid_t]) -> ! {
    // SAFETY: every call below is async-signal-safe and gets valid pointers prepared by the parent.
    unsafe {
        let report =
            libc::fcntl(prepared.report, libc::F_DUPFD_CLOEXEC, FIRST_FD + prepared.sources.len() as RawFd);
        let _ = set_up(&mut prepared, launch, groups)
            && libc::execve(prepared.path.as_ptr(), prepared.argv.as_ptr(), prepared.envp.as_ptr()) == 0;
        let code = *libc::__errno_location();
        let bytes = code.to_ne_bytes();
        libc::write(if report < 0 { prepared.report } else { report }, bytes.as_ptr().cast(), bytes.len());
        libc::_exit(EXIT_OS_ERROR)
    }
}

/// Process group, limits, user, descriptors and signals of the child. False: errno says why.
///
/// # Safety
/// As [`become_program`].
unsafe fn set_up(prepared: &mut Prepared<'_>, launch: &Launch<'_>, groups: &[libc::gid_t]) -> bool {
    // SAFETY: as above; libc calls with values, or with pointers into prepared memory.
    unsafe {
        libc::setpgid(0, 0);
        if launch.nice != 0 {
            libc::setpriority(libc::PRIO_PROCESS, 0, launch.nice);
        }
        if let Some(limit) = &prepared.files {
            libc::setrlimit(libc::RLIMIT_NOFILE, limit);
        }
        if let Some(user) = launch.user
            && (libc::setgroups(groups.len(), groups.as_ptr()) != 0
                || libc::setgid(user.gid) != 0
                || libc::setuid(user.uid) != 0)
        {
            return false;
        }
        // After the change of user, which clears it.
        if launch.die_with_master {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM);
            if libc::getppid() != prepared.parent {
                libc::_exit(EXIT_OS_ERROR);
            }
        }
        if let Some(digits) = prepared.listen_pid {
            write_digits(digits, libc::getpid());
        }
        place_fds(prepared) && reset_signals()
    }
}

/// Puts the sources at 3, 4, 5, … by way of descriptors above that range, and marks all others to be closed.
///
/// # Safety
/// As [`become_program`].
unsafe fn place_fds(prepared: &mut Prepared<'_>) -> bool {
    let end = FIRST_FD + prepared.sources.len() as RawFd;
    // SAFETY: plain descriptor calls.
    unsafe {
        for (source, moved) in prepared.sources.iter().zip(prepared.moved.iter_mut()) {
            *moved = libc::fcntl(*source, libc::F_DUPFD_CLOEXEC, end);
            if *moved < 0 {
                return false;
            }
        }
        for (target, moved) in (FIRST_FD..end).zip(prepared.moved.iter()) {
            if libc::dup2(*moved, target) < 0 {
                return false;
            }
        }
        libc::syscall(
            libc::SYS_close_range,
            end as libc::c_uint,
            libc::c_uint::MAX,
            libc::CLOSE_RANGE_CLOEXEC as libc::c_uint,
        );
    }
    true
}

/// Default dispositions, nothing blocked: a program must not see that its parent was a Rust or tokio one.
///
/// # Safety
/// As [`become_program`].
unsafe fn reset_signals() -> bool {
    // SAFETY: the structs are plain data, zeroes are valid, and the calls get pointers to locals.
    unsafe {
        let mut default: libc::sigaction = std::mem::zeroed();
        default.sa_sigaction = libc::SIG_DFL;
        for signal in 1..=64 {
            libc::sigaction(signal, &default, std::ptr::null_mut());
        }
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &none, std::ptr::null_mut()) == 0
    }
}

/// Writes `pid` in decimal, and a terminating NUL. Without leading zeroes: C programs would take the number for octal.
///
/// # Safety
/// `digits` must be valid for [`PID_DIGITS`] bytes and one more.
unsafe fn write_digits(digits: *mut u8, pid: libc::pid_t) {
    let count = (1..PID_DIGITS).find(|count| pid < 10i32.pow(*count as u32)).unwrap_or(PID_DIGITS);
    let mut rest = pid;
    for place in (0..count).rev() {
        // SAFETY: `place` is below PID_DIGITS.
        unsafe { *digits.add(place) = b'0' + (rest % 10) as u8 };
        rest /= 10;
    }
    // SAFETY: `count` is at most PID_DIGITS, where the string's own NUL is.
    unsafe { *digits.add(count) = 0 };
}

/// The child's environment block: master's own, less what describes master's own supervision, plus the launch's.
struct Environment {
    strings: Vec<Vec<u8>>,
    listen_pid: bool,
}

impl Environment {
    fn new(launch: &Launch<'_>) -> io::Result<Self> {
        let mut strings = Vec::new();
        for (key, value) in std::env::vars_os() {
            let replaced = launch.env.iter().any(|(name, _)| OsStr::new(name) == key);
            if !replaced && !MASTERS_OWN.iter().any(|own| OsStr::new(own) == key) {
                strings.push(assignment(key.as_bytes(), value.as_bytes()));
            }
        }
        for (key, value) in launch.env {
            if value.contains('\0') {
                return Err(io::Error::from(io::ErrorKind::InvalidInput));
            }
            strings.push(assignment(key.as_bytes(), value.as_bytes()));
        }
        if launch.listen_pid {
            strings.push(assignment(LISTEN_PID, &[b'0'; PID_DIGITS]));
        }
        Ok(Self { strings, listen_pid: launch.listen_pid })
    }

    fn pointers(&self) -> Vec<*const libc::c_char> {
        self.strings.iter().map(|string| string.as_ptr().cast()).chain([std::ptr::null()]).collect()
    }

    fn listen_pid_digits(&mut self) -> Option<*mut u8> {
        let last = if self.listen_pid { self.strings.last_mut() } else { None };
        last.and_then(|string| string.get_mut(LISTEN_PID.len() + 1..)).map(<[u8]>::as_mut_ptr)
    }
}

fn assignment(key: &[u8], value: &[u8]) -> Vec<u8> {
    let mut string = Vec::with_capacity(key.len() + value.len() + 2);
    string.extend_from_slice(key);
    string.push(b'=');
    string.extend_from_slice(value);
    string.push(0);
    string
}

fn c_string(text: &OsStr) -> io::Result<CString> {
    CString::new(text.as_bytes()).map_err(io::Error::from)
}

/// The soft limit asked for, but never above the hard one.
fn files_limit(wanted: u64) -> libc::rlimit {
    let current = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let hard = current.maximum.unwrap_or(libc::RLIM_INFINITY);
    libc::rlimit { rlim_cur: wanted.min(hard), rlim_max: hard }
}

/// SIGHUP waits while it lives: one that comes before master can hear it is a reload, and not its death.
#[derive(Debug)]
pub struct HeldHangups(());

impl HeldHangups {
    pub fn hold() -> HeldHangups {
        HeldHangups::mask(libc::SIG_BLOCK);
        HeldHangups(())
    }

    fn mask(how: libc::c_int) {
        // SAFETY: a set on the stack, made empty before it is used.
        unsafe {
            let mut hangup = std::mem::zeroed();
            libc::sigemptyset(&mut hangup);
            libc::sigaddset(&mut hangup, libc::SIGHUP);
            libc::sigprocmask(how, &hangup, std::ptr::null_mut());
        }
    }
}

impl Drop for HeldHangups {
    fn drop(&mut self) {
        HeldHangups::mask(libc::SIG_UNBLOCK);
    }
}

/// All signals blocked while it lives: between fork and exec the child shares the parent's handlers and their pipes.
struct SignalMask {
    before: libc::sigset_t,
}

impl SignalMask {
    fn block_all() -> io::Result<Self> {
        // SAFETY: sigset_t is plain data, filled in by the calls that follow.
        unsafe {
            let mut all: libc::sigset_t = std::mem::zeroed();
            let mut before: libc::sigset_t = std::mem::zeroed();
            libc::sigfillset(&mut all);
            if libc::sigprocmask(libc::SIG_SETMASK, &all, &mut before) != 0 {
                return Err(io::Error::last_os_error());
            }
            Ok(Self { before })
        }
    }
}

impl Drop for SignalMask {
    fn drop(&mut self) {
        // SAFETY: `before` was filled in by sigprocmask.
        unsafe { libc::sigprocmask(libc::SIG_SETMASK, &self.before, std::ptr::null_mut()) };
    }
}

/// Registers a descriptor with the runtime, to learn when it becomes readable.
pub fn watched(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an OwnedFd keeps its descriptor open, and the same one, for as long as it lives.
    unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }.map_err(Into::into)
}

/// The first descriptor after the standard three.
const FIRST_FD: RawFd = 3;
/// Enough for any 32-bit process id.
const PID_DIGITS: usize = 10;
const LISTEN_PID: &[u8] = b"LISTEN_PID";
/// EX_OSERR.
const EXIT_OS_ERROR: libc::c_int = 71;
/// What tells master about its own supervisor is not for its children.
const MASTERS_OWN: &[&str] = &[
    "NOTIFY_SOCKET",
    "LISTEN_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "MAINPID",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_huge_pages_are_asked_for() {
        without_huge_pages();
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let enabled = status.lines().find_map(|line| line.strip_prefix("THP_enabled:"));
        assert!(enabled.is_none_or(|enabled| enabled.trim() == "0"), "{enabled:?}");
    }

    fn run(script: &str, fds: &[BorrowedFd<'_>], listen_pid: bool) -> (Pid, i32) {
        let argv = ["sh".to_owned(), "-c".to_owned(), script.to_owned()];
        let env = [("GIVEN".to_owned(), "yes".to_owned())];
        let pid = spawn(&Launch {
            path: Path::new("/bin/sh"),
            argv: &argv,
            env: &env,
            fds,
            listen_pid,
            user: None,
            max_fds: None,
            nice: 0,
            die_with_master: true,
        })
        .unwrap();
        let (_, status) =
            rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty()).unwrap().unwrap();
        (pid, status.exit_status().unwrap_or(-1))
    }

    #[test]
    fn a_child_gets_its_own_pid_as_listen_pid_and_its_descriptors_from_three() {
        let (mut reader, writer) = io::pipe().unwrap();
        use std::os::fd::AsFd;
        let script = "echo \"$$ $LISTEN_PID $GIVEN\" >&3; test $LISTEN_PID = $$ && test ! -e /proc/self/fd/5";
        let (pid, status) = run(script, &[writer.as_fd(), writer.as_fd()], true);
        drop(writer);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(status, 0);
        let words: Vec<&str> = text.split_whitespace().collect();
        assert_eq!(words[0].parse::<i32>().unwrap(), pid.as_raw_nonzero().get());
        assert_eq!(words[1].parse::<i32>().unwrap(), pid.as_raw_nonzero().get());
        assert_eq!(words[2], "yes");
    }

    #[test]
    fn a_program_that_cannot_be_executed_is_an_error_of_the_spawn() {
        let error = spawn(&Launch {
            path: Path::new("/nonexistent/program"),
            argv: &["program".to_owned()],
            env: &[],
            fds: &[],
            listen_pid: false,
            user: None,
            max_fds: None,
            nice: 0,
            die_with_master: false,
        })
        .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_user_in_more_groups_than_were_expected_has_them_all() {
        for there in [1, 64, 65, 300, 65_536] {
            let mut asked = 0;
            let groups = all_groups(|groups, count| {
                asked += 1;
                let room = *count;
                *count = there;
                if room < there {
                    return -1;
                }
                groups.iter_mut().zip(0..there as u32).for_each(|(group, number)| *group = number);
                there
            });
            assert_eq!(groups.unwrap(), (0..there as u32).collect::<Vec<_>>());
            assert!(asked <= 2, "{asked}");
        }
        // One that never has enough room is not asked for ever.
        assert_eq!(all_groups(|_, _| -1), None);
    }

    #[test]
    fn root_is_in_the_user_table() {
        assert_eq!(user_by_name("root").unwrap().uid, 0);
        assert_eq!(user_name(0).unwrap(), "root");
        assert_eq!(user_by_name("no-such-user-here"), None);
        assert_eq!(group_by_name("root"), Some(0));
    }
}
