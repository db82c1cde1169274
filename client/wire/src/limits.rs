//! Every bound that both sides of a wire must agree on, each with its reason.

/// A record: one request's mutations, encoded. More would stall the frames of everybody on its lane.
pub const RECORD_BYTES_MAX: usize = 1 << 20;
/// Records in a frame: bounds the work of one fold step.
pub const FRAME_RECORDS_MAX: usize = 512;
/// Body of a frame, unless it is a single record: one write of this size still costs about one fdatasync.
pub const FRAME_BODY_BYTES: usize = 64 << 10;
/// Tags of a frame: shards, CONTROL, SKELETON and block-map buckets of one record.
pub const FRAME_TAGS_MAX: usize = 1024;
/// Encoded guards of a frame.
pub const FRAME_GUARDS_BYTES_MAX: usize = 64 << 10;
/// A name of an entry, in bytes (as in POSIX).
pub const NAME_BYTES_MAX: usize = 255;
/// A whole path, in bytes (as PATH_MAX).
pub const PATH_BYTES_MAX: usize = 4096;
/// An extent: large enough to amortise a request, small enough to re-send.
pub const EXTENT_BYTES_MAX: usize = 8 << 20;
/// A checksummed block of an extent: what a range read reads at least.
pub const BLOCK_BYTES: usize = 64 << 10;
/// One data part of Store or Load.
pub const PART_BYTES_MAX: usize = 1 << 20;
/// Contents that ride in the record by default, and at most.
pub const INLINE_BYTES_DEFAULT: usize = 16 << 10;
/// See [`INLINE_BYTES_DEFAULT`].
pub const INLINE_BYTES_MAX: usize = 64 << 10;
/// A file: as ext4. Longer ones would not list their holes in one record.
pub const FILE_BYTES_MAX: u64 = 1 << 44;
/// One hole of a file: its length fits the field, and a file of the greatest size has few.
pub const HOLE_BYTES_MAX: u64 = 1 << 31;
/// The name of an extended attribute, in bytes (as Linux has it), `user.` included.
pub const XATTR_NAME_BYTES_MAX: usize = 255;
/// Names and values of all extended attributes of an inode (as Linux has it for one value): they lie in its row.
pub const XATTR_BYTES_MAX: usize = 64 << 10;
/// Entries of one ACL (as HDFS has it): they lie in every page of a listing.
pub const ACL_ENTRIES_MAX: usize = 32;
/// Slots of a session: requests of one client that may be in flight.
pub const SESSION_SLOTS: u32 = 64;
/// µs a session lives without a sign of life.
pub const SESSION_LEASE_US: u64 = 30_000_000;
/// Frames an appender keeps for units that lag (LOG-A3).
pub const APPENDER_KEEPS_BYTES: usize = 64 << 20;
/// A gRPC message: the largest batch of frames plus room for its envelope.
pub const MESSAGE_BYTES_MAX: usize = 16 << 20;
/// Entries of one Listing.
pub const LIST_ENTRIES_MAX: u32 = 4096;
/// First frame ends above a lane's cut that the sequencer keeps per unit (LOG-D2).
pub const FRAME_ENDS_KEPT: usize = 1024;
/// Version of the protocol; a mismatch is refused at the handshake.
pub const PROTOCOL_VERSION: u32 = 1;
