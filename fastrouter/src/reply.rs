//! The response as it passes: nothing of it is changed, its status is read for the log.

use std::{io, os::fd::RawFd, rc::Rc, time::Duration};

use http1_wire::{FieldSlots, Parsed, ResponseFraming, ResponseTo, parse_response};
use proxy::config::Timeouts;
use router_core::{
    deadline::Watch,
    io::{ReadHalf, WriteHalf},
    tunnel::{Sink, Source},
};

use crate::exchange::{Passage, SWITCHED};

/// The node, as the source of the response.
pub struct ReplySource<'a> {
    read: &'a mut ReadHalf,
    timeouts: &'a Timeouts,
    passage: &'a Passage,
}

impl<'a> ReplySource<'a> {
    /// The response of this exchange, however much of it has passed.
    pub fn new(read: &'a mut ReadHalf, timeouts: &'a Timeouts, passage: &'a Passage) -> Self {
        Self { read, timeouts, passage }
    }

    /// How long its next bytes may take.
    pub fn idle(&self) -> Duration {
        match self.passage.status.get() {
            _ if !self.passage.answered() => self.timeouts.first_byte,
            SWITCHED => self.timeouts.tunnel,
            _ => self.timeouts.response_idle,
        }
    }
}

impl Source for ReplySource<'_> {
    async fn read(&mut self, buffer: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
        let (result, buffer) = self.read.read(buffer, usize::MAX).await;
        if !self.passage.answered() && matches!(result, Ok(count) if count > 0) {
            self.passage.status.set(status_of(&buffer));
        }
        (result, buffer)
    }

    fn watch_handle(&self) -> Rc<Watch> {
        self.read.watch_handle()
    }

    fn socket(&self) -> Option<RawFd> {
        Some(self.read.socket())
    }

    fn idle_limit(&self) -> Option<Duration> {
        Some(self.idle())
    }
}

/// The web server, as the sink of the response: its end is the end of the connection.
pub struct ReplySink<'a>(pub &'a mut WriteHalf);

impl Sink for ReplySink<'_> {
    async fn write_all(&mut self, buffer: Vec<u8>) -> (io::Result<()>, Vec<u8>) {
        self.0.write_all(buffer, 0).await
    }

    fn socket(&self) -> Option<RawFd> {
        Some(self.0.socket())
    }

    async fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The length of a response that begins so, head included, if the head is there and says it. With all of it
/// passed on the node's close need not be waited for.
pub fn stated_bytes(reply: &[u8], method: &[u8]) -> Option<u64> {
    let to = if method == b"HEAD" { ResponseTo::Head } else { ResponseTo::Other };
    let mut slots = FieldSlots::new();
    match parse_response(reply, &mut slots, to) {
        Ok(Parsed::Complete(head)) if head.is_interim() => None,
        Ok(Parsed::Complete(head)) => match head.framing {
            ResponseFraming::None => Some(head.head_bytes as u64),
            ResponseFraming::Length(body) => Some(body.saturating_add(head.head_bytes as u64)),
            ResponseFraming::Chunked | ResponseFraming::UntilClose => None,
        },
        _ => None,
    }
}

/// The status of a response that begins so: of its status line, or of a CGI `Status` field.
fn status_of(reply: &[u8]) -> u16 {
    let line = reply.split(|&byte| byte == b'\r' || byte == b'\n').next().unwrap_or_default();
    let rest = match line.strip_prefix(b"HTTP/") {
        Some(rest) => rest.split(|&byte| byte == b' ').nth(1),
        None => line.strip_prefix(b"Status: ").map(|rest| rest.get(..3).unwrap_or_default()),
    };
    match rest {
        Some([hundreds @ b'1'..=b'9', tens @ b'0'..=b'9', ones @ b'0'..=b'9']) => {
            [hundreds, tens, ones].iter().fold(0, |n, digit| n * 10 + u16::from(**digit - b'0'))
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_sound_head_states_a_length() {
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
        let bytes = head.len() as u64;
        assert_eq!(stated_bytes(head.as_bytes(), b"GET"), Some(bytes + 5));
        assert_eq!(stated_bytes(head.as_bytes(), b"HEAD"), Some(bytes));
        for open in [
            &head[..head.len() - 1],
            "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 100 Continue\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
            "Status: 200 OK\r\nContent-Length: 5\r\n\r\n",
        ] {
            assert_eq!(stated_bytes(open.as_bytes(), b"GET"), None, "{open}");
        }
    }

    #[test]
    fn the_status_is_read_where_it_stands() {
        for (reply, status) in [
            ("HTTP/1.1 200 OK\r\n", 200),
            ("HTTP/1.0 404\r\n", 404),
            ("Status: 302 Found\r\n", 302),
            ("HTTP/1.1 20\r\n", 0),
            ("HTTP/1.1 2000 OK", 0),
            ("<html>", 0),
            ("", 0),
        ] {
            assert_eq!(status_of(reply.as_bytes()), status, "{reply}");
        }
    }
}
