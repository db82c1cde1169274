//! The request of a call, as W3C Trace Context writes it: `traceparent: 00-<trace>-<span>-01`.
use super::{TraceContext, current};
use tonic::Request;
use tonic::metadata::{MetadataMap, MetadataValue};

const TRACEPARENT: &str = "traceparent";
/// The only flag there is: bit 0.
const SAMPLED: u8 = 1;

/// A call for the request that the running task works for.
pub(crate) fn told_to<T>(mut request: Request<T>) -> Request<T> {
    if let Some(context) = current() {
        let text = format!("00-{:032x}-{:016x}-01", context.trace_id, context.span);
        if let Ok(value) = MetadataValue::try_from(text) {
            request.metadata_mut().insert(TRACEPARENT, value);
        }
    }
    request
}

/// For which request a call is made, if that is sampled.
pub(crate) fn asked_for(metadata: &MetadataMap) -> Option<TraceContext> {
    parse(metadata.get(TRACEPARENT)?.to_str().ok()?)
}

/// What later versions add behind the flags is passed over.
pub(super) fn parse(text: &str) -> Option<TraceContext> {
    let mut parts = text.split('-');
    let mut hex = |digits: usize| {
        let part = parts.next()?;
        let well_formed = part.len() == digits && part.bytes().all(|b| b.is_ascii_hexdigit());
        well_formed.then(|| u128::from_str_radix(part, 16).ok())?
    };
    let (version, trace_id, span, flags) = (hex(2)?, hex(32)?, hex(16)?, hex(2)?);
    let is_sampled = flags as u8 & SAMPLED != 0;
    (version != 0xff && trace_id != 0 && span != 0 && is_sampled).then_some(TraceContext {
        trace_id,
        span: span as u64,
    })
}
