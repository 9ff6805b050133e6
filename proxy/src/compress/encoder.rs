//! Streaming encoders with bounded memory.
//!
//! Every push is followed by a flush or the end, so that no byte of an event stream waits for the
//! next. Levels are chosen for a router: near the knee of ratio against time. Windows are small,
//! because each open response holds one.

use std::{cell::Cell, io::Write};

use super::Coding;

/// Memory of all encoders of one worker. Past it responses are sent as they are.
const WORKER_BYTES_MAX: usize = 64 * 1024 * 1024;

const GZIP_LEVEL: u32 = 5;
const BROTLI_QUALITY: u32 = 4;
/// 2^18 bytes.
const BROTLI_WINDOW_LOG: u32 = 18;
/// Of the encoder between its input and its sink.
const BROTLI_BUFFER_BYTES: usize = 4096;
const ZSTD_LEVEL: i32 = 3;
/// 2^18 bytes.
const ZSTD_WINDOW_LOG: u32 = 18;

thread_local! {
    static HELD_BYTES: Cell<usize> = const { Cell::new(0) };
}

/// Memory of one encoder, rounded up from what was measured (`an_encoder_keeps_within_its_share`).
const fn share_bytes(coding: Coding) -> usize {
    match coding {
        Coding::Gzip => 384 * 1024,
        Coding::Brotli => 1536 * 1024,
        Coding::Zstd => 1536 * 1024,
    }
}

/// One response being coded.
pub struct Encoder {
    coding: Coding,
    stream: Stream,
}

enum Stream {
    Gzip(flate2::write::GzEncoder<Vec<u8>>),
    Brotli(Box<brotli::CompressorWriter<Vec<u8>>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
    /// The last byte was written.
    Ended,
}

impl Encoder {
    /// Begins one; none if this worker has its share of memory in use, or the system has none to give.
    #[must_use]
    pub fn begin(coding: Coding) -> Option<Self> {
        let held = HELD_BYTES.get() + share_bytes(coding);
        if held > WORKER_BYTES_MAX {
            return None;
        }
        let stream = match coding {
            Coding::Gzip => {
                let level = flate2::Compression::new(GZIP_LEVEL);
                Stream::Gzip(flate2::write::GzEncoder::new(Vec::new(), level))
            }
            Coding::Brotli => Stream::Brotli(Box::new(brotli::CompressorWriter::new(
                Vec::new(),
                BROTLI_BUFFER_BYTES,
                BROTLI_QUALITY,
                BROTLI_WINDOW_LOG,
            ))),
            Coding::Zstd => {
                let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL).ok()?;
                encoder.window_log(ZSTD_WINDOW_LOG).ok()?;
                Stream::Zstd(encoder)
            }
        };
        HELD_BYTES.set(held);
        Some(Self { coding, stream })
    }

    /// The coding.
    #[must_use]
    pub fn coding(&self) -> Coding {
        self.coding
    }

    /// Codes `payload` and appends what is ready to `out`.
    pub fn push(&mut self, payload: &[u8], out: &mut Vec<u8>) {
        self.with_sink(out, |writer| writer.write_all(payload));
    }

    /// Appends the rest of what was pushed, so that the receiver can decode all of it.
    pub fn flush(&mut self, out: &mut Vec<u8>) {
        self.with_sink(out, |writer| writer.flush());
    }

    /// Appends the end.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        // The stream owns its sink, so that it ends into the caller's buffer.
        self.swap_sink(out);
        let ended = match std::mem::replace(&mut self.stream, Stream::Ended) {
            Stream::Gzip(encoder) => encoder.finish(),
            Stream::Brotli(encoder) => Ok(encoder.into_inner()),
            Stream::Zstd(encoder) => encoder.finish(),
            Stream::Ended => Ok(Vec::new()),
        };
        *out = ended.unwrap_or_default();
    }

    fn with_sink(
        &mut self,
        out: &mut Vec<u8>,
        write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
    ) {
        self.swap_sink(out);
        let result = match &mut self.stream {
            Stream::Gzip(encoder) => write(encoder),
            Stream::Brotli(encoder) => write(encoder),
            Stream::Zstd(encoder) => write(encoder),
            Stream::Ended => Ok(()),
        };
        debug_assert!(result.is_ok(), "a sink in memory takes everything: {result:?}");
        self.swap_sink(out);
    }

    fn swap_sink(&mut self, out: &mut Vec<u8>) {
        let sink = match &mut self.stream {
            Stream::Gzip(encoder) => encoder.get_mut(),
            Stream::Brotli(encoder) => encoder.get_mut(),
            Stream::Zstd(encoder) => encoder.get_mut(),
            Stream::Ended => return,
        };
        std::mem::swap(sink, out);
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        HELD_BYTES.set(HELD_BYTES.get() - share_bytes(self.coding));
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn decode(coding: Coding, coded: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        match coding {
            Coding::Gzip => flate2::read::MultiGzDecoder::new(coded).read_to_end(&mut plain),
            Coding::Brotli => brotli::Decompressor::new(coded, 4096).read_to_end(&mut plain),
            Coding::Zstd => {
                zstd::stream::read::Decoder::new(coded).unwrap().read_to_end(&mut plain)
            }
        }
        .unwrap();
        plain
    }

    /// Decodes as far as it goes.
    fn decode_some(coding: Coding, coded: &[u8]) -> Vec<u8> {
        let mut decoder: Box<dyn Read> = match coding {
            Coding::Gzip => Box::new(flate2::read::GzDecoder::new(coded)),
            Coding::Brotli => Box::new(brotli::Decompressor::new(coded, 4096)),
            Coding::Zstd => Box::new(zstd::stream::read::Decoder::new(coded).unwrap()),
        };
        let (mut plain, mut byte) = (Vec::new(), [0]);
        while decoder.read(&mut byte).is_ok_and(|count| count == 1) {
            plain.push(byte[0]);
        }
        plain
    }

    #[test]
    fn what_was_pushed_comes_out_however_it_was_cut() {
        let payload: Vec<u8> = (0..200_000_u32).map(|i| ((i % 251) ^ (i / 7919)) as u8).collect();
        for coding in Coding::ALL {
            for step in [1usize << 9, 16_384, 65_536, 200_000] {
                let mut encoder = Encoder::begin(coding).unwrap();
                let mut out = b"before".to_vec();
                for piece in payload.chunks(step) {
                    encoder.push(piece, &mut out);
                    encoder.flush(&mut out);
                }
                encoder.finish(&mut out);
                assert_eq!(decode(coding, &out[6..]), payload, "{coding:?} by {step}");
            }
            let mut out = Vec::new();
            Encoder::begin(coding).unwrap().finish(&mut out);
            assert!(!out.is_empty() && decode(coding, &out).is_empty(), "{coding:?}");
        }
    }

    #[test]
    fn a_flush_leaves_nothing_behind() {
        for coding in Coding::ALL {
            let mut encoder = Encoder::begin(coding).unwrap();
            let mut out = Vec::new();
            for event in 1..=3 {
                encoder.push(b"data: tick\n\n", &mut out);
                encoder.flush(&mut out);
                let seen = decode_some(coding, &out);
                assert_eq!(seen, b"data: tick\n\n".repeat(event), "{coding:?}");
            }
        }
    }

    #[test]
    fn a_worker_has_only_so_many_at_once() {
        let most = WORKER_BYTES_MAX / share_bytes(Coding::Zstd);
        let all: Vec<_> = (0..=most).map(|_| Encoder::begin(Coding::Zstd)).collect();
        assert_eq!(all.iter().flatten().count(), most);
        drop(all);
        assert!(Encoder::begin(Coding::Zstd).is_some());
    }

    /// Goal: the share is no guess. Method: many encoders that have seen more than their window, and
    /// what the process grew by; in a process of its own, where no other test allocates.
    #[test]
    fn an_encoder_keeps_within_its_share() {
        const ALONE: &str = "SUZERAIN_TEST_ALONE";
        if std::env::var_os(ALONE).is_none() {
            let name = "compress::encoder::tests::an_encoder_keeps_within_its_share";
            let mut alone = std::process::Command::new(std::env::current_exe().unwrap());
            let output = alone.args([name, "--exact"]).env(ALONE, "1").output().unwrap();
            let told = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success() && told.contains("1 passed"), "{told}");
            return;
        }
        const MANY: usize = 16;
        let payload: Vec<u8> = (0..1 << 20).map(|i: u32| (i.wrapping_mul(i) >> 7) as u8).collect();
        for coding in Coding::ALL {
            let mut out = vec![0; 2 << 20];
            let mut feed = |encoder: &mut Encoder| {
                out.clear();
                for piece in payload.chunks(16 * 1024) {
                    encoder.push(piece, &mut out);
                    encoder.flush(&mut out);
                }
            };
            // The first one brings the code and the tables of its library in.
            let mut first = Encoder::begin(coding).unwrap();
            feed(&mut first);
            let before = resident_bytes();
            let mut all: Vec<_> = (0..MANY).flat_map(|_| Encoder::begin(coding)).collect();
            all.iter_mut().for_each(&mut feed);
            let each = resident_bytes().saturating_sub(before) / MANY;
            assert!(each < share_bytes(coding), "{coding:?}: {each}");
        }
    }

    fn resident_bytes() -> usize {
        let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
        statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
    }
}
