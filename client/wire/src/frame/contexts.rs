//! What zstd needs to compress and to decompress a body, kept by each thread: to make it anew costs more
//! than most bodies do (hundreds of KiB to allocate and to clear). What comes out is the same.
use std::cell::RefCell;
use zstd::bulk::{Compressor, Decompressor};

/// The fastest of the ordinary levels: appends wait for it.
const LEVEL: i32 = 1;

thread_local! {
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

pub(super) fn compress(raw: &[u8]) -> Option<Vec<u8>> {
    COMPRESSOR.with_borrow_mut(|kept| {
        let compressor = match kept {
            Some(compressor) => compressor,
            None => kept.insert(Compressor::new(LEVEL).ok()?),
        };
        compressor.compress(raw).ok()
    })
}

/// At most `raw_bytes` come out, or nothing does.
pub(super) fn decompress(body: &[u8], raw_bytes: usize) -> Option<Vec<u8>> {
    DECOMPRESSOR.with_borrow_mut(|kept| {
        let decompressor = match kept {
            Some(decompressor) => decompressor,
            None => kept.insert(Decompressor::new().ok()?),
        };
        decompressor.decompress(body, raw_bytes).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_that_was_used_or_has_failed_gives_the_same() {
        let texts: Vec<Vec<u8>> = (1..20_u8).map(|i| vec![i; 997 * usize::from(i)]).collect();
        for raw in texts.iter().chain(texts.iter().rev()) {
            let smaller = compress(raw).expect("compressed");
            assert_eq!(
                smaller,
                zstd::bulk::compress(raw, LEVEL).expect("compressed")
            );
            assert_eq!(decompress(&smaller, raw.len() - 1), None);
            assert_eq!(decompress(&smaller[..smaller.len() / 2], raw.len()), None);
            assert_eq!(decompress(&smaller, raw.len()).as_ref(), Some(raw));
        }
    }
}
