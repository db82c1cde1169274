//! One TUN device: the packets that leave a namespace are read here, those that enter it written.
use rustix::fs::{Mode, OFlags};
use std::io;
use std::os::fd::OwnedFd;
use tokio::io::unix::AsyncFd;

const NAME_BYTES_MAX: usize = 15;
/// linux/if_tun.h: `_IOW('T', 202, int)`, IFF_TUN, IFF_NO_PI.
const TUNSETIFF: rustix::ioctl::Opcode = 0x4004_54ca;
const TUN_WITHOUT_HEADER: i16 = 0x0001 | 0x1000;

/// linux/if.h: `struct ifreq`, of which the first two members are looked at.
#[repr(C)]
struct Request {
    name: [u8; NAME_BYTES_MAX + 1],
    flags: i16,
    rest: [u8; 22],
}

const _: () = assert!(size_of::<Request>() == 40);

/// The device is gone when this is dropped, wherever it was moved to.
pub(crate) struct Tun {
    file: AsyncFd<OwnedFd>,
}

impl Tun {
    pub(crate) fn open(name: &str) -> io::Result<Tun> {
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::open("/dev/net/tun", flags, Mode::empty())?;
        let mut request = Request {
            name: [0; NAME_BYTES_MAX + 1],
            flags: TUN_WITHOUT_HEADER,
            rest: [0; 22],
        };
        let named = name.len().min(NAME_BYTES_MAX);
        request.name[..named].copy_from_slice(&name.as_bytes()[..named]);
        attach(&file, &mut request)?;
        Ok(Tun {
            file: watched(file)?,
        })
    }

    /// Waits for one packet; its length.
    pub(crate) async fn read(&self, packet: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut ready = self.file.readable().await?;
            let read = ready.try_io(|file| Ok(rustix::io::read(file.get_ref(), &mut *packet)?));
            if let Ok(read) = read {
                return read;
            }
        }
    }

    /// A full device loses the packet, as networks do.
    pub(crate) fn write(&self, packet: &[u8]) {
        let _ = rustix::io::write(self.file.get_ref(), packet);
    }
}

#[allow(
    unsafe_code,
    reason = "the safe way is deprecated, because it takes any type that shows a descriptor"
)]
fn watched(file: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` shows one open descriptor for as long as it lives; it is moved into the
    // `AsyncFd`, which nothing takes it out of, and closed after it is no longer watched.
    unsafe { Ok(AsyncFd::register(file)?) }
}

#[allow(
    unsafe_code,
    reason = "no safe call makes a file the end of a TUN device"
)]
fn attach(file: &OwnedFd, request: &mut Request) -> io::Result<()> {
    // SAFETY: TUNSETIFF reads and writes one `struct ifreq` of 40 bytes, which `Request` is in size,
    // layout and alignment of what is looked at; it is borrowed for the call, and the kernel keeps nothing.
    unsafe {
        let updater = rustix::ioctl::Updater::<TUNSETIFF, Request>::new(request);
        rustix::ioctl::ioctl(file, updater)?;
    }
    Ok(())
}
