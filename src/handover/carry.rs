//! Into a socket and out of it.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Read as _, Seek as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};

use super::Luggage;

/// Files in one message; the system takes 253 (`SCM_MAX_FD`).
const AT_ONCE: usize = 200;

/// Puts all of it into a socket, where nobody has it open; gives the end that the next program reads.
///
/// # Errors
/// The system refuses; everything is as it was.
pub fn send(text: &[u8], luggage: &Luggage) -> io::Result<OwnedFd> {
    let mut memory = File::from(memfd_create("janus-handover", MemfdFlags::CLOEXEC)?);
    memory.write_all(text)?;
    let (ours, theirs) = socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None,
    )?;
    let mut all = vec![memory.as_fd()];
    all.extend(luggage.0.iter().flatten().map(AsFd::as_fd));
    let count = u32::try_from(all.len()).map_err(io::Error::other)?;
    for some in all.chunks(AT_ONCE) {
        let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(AT_ONCE))];
        let mut rights = SendAncillaryBuffer::new(&mut space);
        if !rights.push(SendAncillaryMessage::ScmRights(some)) {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        let payload = count.to_le_bytes();
        sendmsg(
            &ours,
            &[IoSlice::new(&payload)],
            &mut rights,
            SendFlags::empty(),
        )?;
    }
    Ok(theirs)
}

/// Takes out what was put in.
///
/// # Errors
/// It is not such a socket, or not everything is there.
pub fn receive(socket: BorrowedFd<'_>) -> io::Result<(Vec<u8>, Luggage)> {
    let mut files = Vec::new();
    loop {
        let (count, mut some) = one(socket)?;
        if some.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        files.append(&mut some);
        if files.len() >= count {
            break;
        }
    }
    let mut files = files.into_iter();
    let mut memory = File::from(files.next().ok_or(io::ErrorKind::UnexpectedEof)?);
    memory.rewind()?;
    let mut text = Vec::new();
    memory.read_to_end(&mut text)?;
    Ok((text, Luggage(files.map(Some).collect())))
}

/// One message: how many files there are in all, and those that came with it.
fn one(socket: BorrowedFd<'_>) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(AT_ONCE))];
    let mut rights = RecvAncillaryBuffer::new(&mut space);
    let mut payload = [0; 4];
    let mut pieces = [IoSliceMut::new(&mut payload)];
    recvmsg(socket, &mut pieces, &mut rights, RecvFlags::CMSG_CLOEXEC)?;
    let mut files = Vec::new();
    for message in rights.drain() {
        if let RecvAncillaryMessage::ScmRights(some) = message {
            files.extend(some);
        }
    }
    let count = usize::try_from(u32::from_le_bytes(payload)).map_err(io::Error::other)?;
    Ok((count, files))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_text_come_out_as_they_went_in() {
        let mut luggage = Luggage::default();
        let pipes: Vec<_> = (0..2 * AT_ONCE)
            .map(|_| {
                let (reader, writer) = io::pipe().unwrap();
                (luggage.put(reader), writer)
            })
            .collect();
        let socket = send(b"{}", &luggage).unwrap();
        drop(luggage);
        let (text, mut luggage) = receive(socket.as_fd()).unwrap();
        assert_eq!(text, b"{}");
        for (number, (carried, mut writer)) in pipes.into_iter().enumerate() {
            writer.write_all(&number.to_le_bytes()).unwrap();
            let mut reader = File::from(luggage.take(carried).unwrap());
            let mut read = [0; size_of::<usize>()];
            reader.read_exact(&mut read).unwrap();
            assert_eq!(usize::from_le_bytes(read), number);
            assert!(luggage.take(carried).is_none());
        }
    }

    #[test]
    fn half_of_it_is_none() {
        let pair = || {
            let (flags, kind) = (SocketFlags::CLOEXEC, SocketType::SEQPACKET);
            socketpair(AddressFamily::UNIX, kind, flags, None).unwrap()
        };
        // One file of two came, then the end; and no file at all.
        for files in [1, 0] {
            let (ours, theirs) = pair();
            let file = File::open("/dev/null").unwrap();
            let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut rights = SendAncillaryBuffer::new(&mut space);
            let some = [file.as_fd()];
            assert!(rights.push(SendAncillaryMessage::ScmRights(&some[..files])));
            let count = 2_u32.to_le_bytes();
            let pieces = [IoSlice::new(&count)];
            sendmsg(&ours, &pieces, &mut rights, SendFlags::empty()).unwrap();
            drop(ours);
            assert!(receive(theirs.as_fd()).is_err(), "{files}");
        }
        assert!(receive(File::open("/dev/null").unwrap().as_fd()).is_err());
    }
}
