//! What happens to a request on its way: by a script, or by chance from a seed.

/// What happens to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Serve,
    /// It never arrives.
    Drop,
    /// It takes effect; the answer is lost.
    DropAnswer,
    /// It arrives again, this many ms later.
    Double(u64),
    /// It arrives this many ms later.
    Delay(u64),
    /// The answer arrives this many ms later.
    DelayAnswer(u64),
    /// The stream ends; it does not take effect.
    Break,
    /// The stream ends after it took effect.
    BreakAnswer,
    Refuse(dfs_wire::Code),
    /// The session is forgotten before it arrives.
    ForgetSession,
}

/// xorshift: the same seed, the same fates.
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Chance {
        Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Half of all are served at once.
    pub(crate) fn fate(&mut self) -> Fate {
        let ms = self.next() % 8_000;
        match self.next() % 18 {
            0 => Fate::Drop,
            1 => Fate::DropAnswer,
            2 | 3 => Fate::Double(ms),
            4 => Fate::Delay(ms),
            5 => Fate::DelayAnswer(ms),
            6 => Fate::Break,
            7 => Fate::BreakAnswer,
            8 => Fate::Refuse(dfs_wire::Code::Void),
            _ => Fate::Serve,
        }
    }
}
