//! The form that the packed binary is kept in: matches, and counts that learn while they are read.
//!
//! Somebody waits at boot until it is unpacked, so a symbol is one step of an rANS decoder (Jarek Duda,
//! arXiv:1311.2540) and not eight of a binary one: a fifth of the instructions of an LZMA reader for the same size.
//! What precedes a symbol chooses the counts that it is coded by, one [`Model`] each. Both sides rebuild a model's
//! shares from its counts ever less often, so no table is sent along.
//!
//! Pure, and total: whatever the input is, unpacking ends and writes nothing outside its room. Damage shows in what
//! comes out: the caller has a digest.

/// A share is so many of [`WHOLE`].
const SHARE_BITS: u32 = 12;
/// What the shares of a model add up to.
pub const WHOLE: u32 = 1 << SHARE_BITS;
/// The decoder's state stays above this: two bytes come at once.
const LEAST: u32 = 1 << 16;
/// By how much a count grows.
const GROWTH: u16 = 6;
/// A model's shares are made anew after so many symbols first, then after twice as many each time.
const FIRST: u16 = 8;

/// How likely each of up to N symbols is; LOOK places tell where to begin to look for one.
pub struct Model<const N: usize, const LOOK: usize> {
    /// Where a symbol's share begins, and above that its share.
    range: [u32; N],
    count: [u16; N],
    look: [u16; LOOK],
    pace: Pace,
}

/// When a model's shares are made anew.
struct Pace {
    /// How many symbols there are.
    symbols: u16,
    /// So many until then, how many there are between two times, and at most.
    left: u16,
    period: u16,
    longest: u16,
    /// The counts' sum when the shares were made, and the one above which counts are halved.
    sum: u32,
    limit: u32,
}

impl<const N: usize, const LOOK: usize> Model<N, LOOK> {
    /// One that was not begun: no symbols, nothing but zeros.
    const NONE: Self = Model {
        range: [0; N],
        count: [0; N],
        look: [0; LOOK],
        pace: Pace {
            symbols: 0,
            left: 0,
            period: 0,
            longest: 0,
            sum: 0,
            limit: 0,
        },
    };

    /// All of so many symbols are as likely.
    #[inline(never)]
    fn begin(&mut self, symbols: usize, limit: u32, longest: u16) {
        let mut sum = 0;
        for count in self.count.iter_mut().take(symbols) {
            *count = 1;
            sum += 1;
        }
        self.pace = Pace {
            symbols: sum as u16,
            left: 0,
            period: 0,
            longest,
            sum,
            limit,
        };
        self.rebuild();
    }

    fn rebuild(&mut self) {
        rebuild(
            &mut self.pace,
            &mut self.range,
            &mut self.count,
            &mut self.look,
        );
    }

    /// Where a symbol's share begins, and its share.
    pub fn share_of(&self, symbol: usize) -> (u32, u32) {
        let range = self.range.get(symbol & (N - 1)).unwrap_or(&0);
        (range & 0xffff, range >> 16)
    }

    /// The symbol at a place among the shares, how far behind its begin that is, and its share.
    #[inline(always)]
    fn find(&self, place: u32) -> (usize, u32, u32) {
        let look = (place as usize / (WHOLE as usize / LOOK)) & (LOOK - 1);
        let mut symbol = usize::from(*self.look.get(look).unwrap_or(&0));
        // It ends: the shares lie behind one another, up to the whole.
        loop {
            let range = *self.range.get(symbol & (N - 1)).unwrap_or(&0);
            let (into, share) = (place.wrapping_sub(range & 0xffff), range >> 16);
            if into < share {
                return (symbol, into, share);
            }
            symbol += 1;
        }
    }

    /// It came once more.
    #[inline(always)]
    pub fn learn(&mut self, symbol: usize) {
        if let Some(count) = self.count.get_mut(symbol & (N - 1)) {
            *count += GROWTH;
        }
        self.pace.left -= 1;
        if self.pace.left == 0 {
            self.rebuild();
        }
    }
}

/// Shares from counts: one for each symbol that there is, the rest by the counts, without a remainder.
#[inline(never)]
fn rebuild(pace: &mut Pace, ranges: &mut [u32], counts: &mut [u16], looks: &mut [u16]) {
    pace.sum += u32::from(pace.period) * u32::from(GROWTH);
    let symbols = usize::from(pace.symbols);
    let (Some(ranges), Some(counts)) = (ranges.get_mut(..symbols), counts.get_mut(..symbols))
    else {
        return;
    };
    let scale = ((WHOLE - symbols as u32) << 16) / pace.sum;
    let step = WHOLE / (looks.len() as u32).max(1);
    let (mut seen, mut from, mut number, mut looked) = (0, 0, 0, 0);
    let mut looks = looks.iter_mut();
    for (range, count) in ranges.iter_mut().zip(&*counts) {
        seen += u32::from(*count);
        let to = number + 1 + ((seen * scale) >> 16);
        *range = from | (to - from) << 16;
        while looked < to {
            if let Some(look) = looks.next() {
                *look = number as u16;
            }
            looked += step;
        }
        from = to;
        number += 1;
    }
    // What the rounding left is the last one's.
    if let Some(last) = ranges.last_mut() {
        let start = *last & 0xffff;
        *last = start | (WHOLE - start) << 16;
    }
    for look in looks {
        *look = symbols as u16 - 1;
    }
    if pace.sum > pace.limit {
        pace.sum = 0;
        for count in counts.iter_mut() {
            *count = count.div_ceil(2);
            pace.sum += u32::from(*count);
        }
    }
    pace.period = (pace.period * 2).clamp(FIRST, pace.longest);
    pace.left = pace.period;
}

/// Counts of steps.
pub type Steps = Model<512, 256>;
/// Counts of anything else.
pub type Few = Model<64, 32>;

/// A step below this is a byte as it is; this is one byte from the last distance.
pub const SHORT: usize = 256;
/// From here on a match with a distance of its own, by the kind of its length.
pub const MATCH: usize = SHORT + 1;
/// From here on one by the last distance, by the kind of its length.
pub const LAST: usize = MATCH + KINDS;
/// From here on one by each of the three distances before that, by its length: short ones alone have a step each.
pub const OLDER: usize = LAST + KINDS;
/// Steps for each of those three: lengths from 2 on, the last for any longer one, which follows as [`LONG_BITS`].
pub const OLDER_KINDS: usize = 12;
/// The bits of such a length.
pub const LONG_BITS: u32 = 10;
/// All steps.
pub const STEPS: usize = OLDER + 3 * OLDER_KINDS;
/// Kinds of lengths: sixteen single ones from two bytes on, then ranges of four and more.
pub const KINDS: usize = 24;
/// Kinds of distances: two for each power of two.
pub const SLOTS: usize = 40;
/// Slots below this have all their bits by counts, those above it the lowest four.
pub const NEAR: usize = 12;
/// The most groups of preceding bytes.
pub const GROUPS: usize = 16;

/// What differs by processor, and is found when a binary is packed.
#[derive(Clone, Copy)]
pub struct Form {
    /// How many low bits of its place choose a step's counts.
    pub place_bits: u32,
    /// Whether a step behind a match has counts of its own.
    pub behind_match: bool,
    /// The group of each byte: that of the one before chooses a step's counts.
    pub group: [u8; 256],
}

impl Form {
    /// The bytes of a form: flags, then a nibble for each group.
    pub const LEN: usize = 1 + 128;

    /// Reads it.
    fn parse(bytes: &[u8; Form::LEN]) -> Form {
        let [flags, nibbles @ ..] = bytes;
        let mut group = [0; 256];
        for (pair, two) in group.as_chunks_mut::<2>().0.iter_mut().zip(nibbles) {
            *pair = [two & 15, two >> 4];
        }
        Form {
            place_bits: u32::from(flags & 3),
            behind_match: flags & 4 != 0,
            group,
        }
    }

    /// Writes it.
    pub fn emit(&self) -> [u8; Form::LEN] {
        let mut bytes = [0; Form::LEN];
        let [flags, nibbles @ ..] = &mut bytes;
        *flags = self.place_bits as u8 | u8::from(self.behind_match) << 2;
        for (two, pair) in nibbles.iter_mut().zip(self.group.as_chunks::<2>().0) {
            *two = pair[0] & 15 | pair[1] << 4;
        }
        bytes
    }

    /// Which counts a step is coded by, from the byte before it on, but for its place.
    #[inline(always)]
    pub fn group_of(&self, before: u8, behind_match: bool) -> usize {
        let group = *self.group.get(usize::from(before)).unwrap_or(&0);
        usize::from(group) | (usize::from(behind_match && self.behind_match) * GROUPS)
    }

    /// The same with its place.
    #[inline(always)]
    pub fn model(&self, group: usize, at: usize) -> usize {
        group << self.place_bits | at & ((1 << self.place_bits) - 1)
    }
}

/// A kind of length beyond the single ones: its least length, and how many bits follow.
#[inline(always)]
pub fn length_range(kind: usize) -> (usize, u32) {
    let bits = kind.wrapping_sub(14) as u32 & 15;
    (14 + (1 << bits), bits)
}

/// How many models of steps there are.
pub const MODELS: usize = 32;

/// All counts.
pub struct Models {
    /// Of steps, by [`Form::model`].
    pub steps: [Steps; MODELS],
    /// Of slots, by how long the match is; then those of [`NEAR_BITS`] and [`LOW`].
    pub few: [Few; 32],
}

/// Where the counts of the bits of a near distance begin, by its slot.
pub const NEAR_BITS: usize = 4;
/// Those of a far distance's lowest four bits.
pub const LOW: usize = NEAR_BITS + NEAR;

impl Models {
    /// Not begun: nothing but zeros.
    pub const NONE: Models = Models {
        steps: [const { Steps::NONE }; MODELS],
        few: [const { Few::NONE }; 32],
    };

    /// As they are at the start.
    pub fn begin(&mut self) {
        for model in &mut self.steps {
            model.begin(STEPS, 16384, 256);
        }
        for (number, model) in self.few.iter_mut().enumerate() {
            let symbols = match number {
                ..NEAR_BITS => SLOTS,
                NEAR_BITS..LOW => 1 << slot_bits(number - NEAR_BITS),
                _ => 16,
            };
            model.begin(symbols, 4096, 64);
        }
    }
}

/// How many bits follow a slot.
#[inline(always)]
pub fn slot_bits(slot: usize) -> u32 {
    (slot as u32 / 2).saturating_sub(1)
}

/// The rANS decoder.
struct Decoder<'a> {
    input: &'a [u8],
    state: u32,
}

impl Decoder<'_> {
    /// Brings the state back above its least; behind its end the input reads as zeros.
    #[inline(always)]
    fn fill(&mut self) {
        if self.state < LEAST {
            let mut two = [0; 2];
            if let Some((first, rest)) = self.input.split_first_chunk() {
                (two, self.input) = (*first, rest);
            }
            self.state = self.state << 16 | u32::from(u16::from_le_bytes(two));
        }
    }

    /// The next symbol of a model.
    #[inline(always)]
    fn symbol<const N: usize, const LOOK: usize>(&mut self, model: &mut Model<N, LOOK>) -> usize {
        let (symbol, into, share) = model.find(self.state & (WHOLE - 1));
        self.state = share
            .wrapping_mul(self.state >> SHARE_BITS)
            .wrapping_add(into);
        self.fill();
        model.learn(symbol);
        symbol
    }

    /// That of a model of distances.
    #[inline(never)]
    fn few(&mut self, models: &mut Models, model: usize) -> usize {
        let model = models.few.get_mut(model & 31);
        model.map_or(0, |model| self.symbol(model))
    }

    /// So many bits as they are, at most 15.
    #[inline(never)]
    fn bits(&mut self, count: u32) -> usize {
        let value = self.state & ((1 << count) - 1);
        self.state >>= count;
        self.fill();
        value as usize
    }

    /// The length of a match, by its kind.
    #[inline(never)]
    fn length(&mut self, kind: usize) -> usize {
        if kind < 16 {
            return kind + 2;
        }
        let (least, bits) = length_range(kind);
        least + self.bits(bits)
    }

    /// The distance of a match of that length.
    #[inline(always)]
    fn distance(&mut self, models: &mut Models, len: usize) -> usize {
        let slot = self.few(models, (len - 2).min(3));
        if slot < 4 {
            return slot + 1;
        }
        let bits = slot_bits(slot);
        let base = ((2 | slot & 1) << bits) + 1;
        if bits <= 4 {
            return base + self.few(models, NEAR_BITS + slot);
        }
        let high = self.bits((bits - 4) & 15);
        base + (high << 4) + self.few(models, LOW)
    }
}

/// Fills `room` from `input`: a [`Form`], the decoder's first state (u32, little endian), then its words of two bytes.
/// `models` are [`Models::NONE`], some 130 KiB that are the caller's to have somewhere.
///
/// `None`: no form, or a match that points in front of `room`; what that holds then means nothing.
#[inline(never)]
pub fn unpack(input: &[u8], room: &mut [u8], models: &mut Models) -> Option<()> {
    let (form, input) = input.split_first_chunk()?;
    let (first, input) = input.split_first_chunk()?;
    let form = Form::parse(form);
    let mut from = Decoder {
        input,
        state: u32::from_le_bytes(*first),
    };
    models.begin();
    // The last four distances, the newest first.
    let (mut back, mut at, mut group) = ([1usize; 4], 0, form.group_of(0, false));
    while at < room.len() {
        let model = form.model(group, at);
        let step = from.symbol(models.steps.get_mut(model & (MODELS - 1))?);
        if step < SHORT {
            *room.get_mut(at)? = step as u8;
            group = form.group_of(step as u8, false);
            at += 1;
            continue;
        }
        let mut len = 1;
        if step >= OLDER {
            let (which, kind) = ((step - OLDER) / OLDER_KINDS, (step - OLDER) % OLDER_KINDS);
            len = kind + 2;
            if kind == OLDER_KINDS - 1 {
                len = from.bits(LONG_BITS).max(1);
            }
            // That one to the front.
            let mut moved = *back.get(which + 1)?;
            for place in back.iter_mut().take(which + 2) {
                core::mem::swap(place, &mut moved);
            }
        } else if step >= LAST {
            len = from.length(step - LAST);
        } else if step >= MATCH {
            len = from.length(step - MATCH);
            back = [from.distance(models, len), back[0], back[1], back[2]];
        }
        copy(room, at, back[0], len)?;
        at += len;
        group = form.group_of(*room.get(at.checked_sub(1)?)?, true);
    }
    Some(())
}

/// Makes `len` bytes at `at` from those that stand `distance` before, of which some may be made on the way.
#[inline(always)]
fn copy(room: &mut [u8], mut at: usize, distance: usize, len: usize) -> Option<()> {
    let (mut from, end) = (at.checked_sub(distance)?, at + len);
    // Eight at once: what is too many is made anew by what follows.
    while at < end && distance >= 8 {
        let eight: [u8; 8] = *room.get(from..)?.first_chunk()?;
        let Some(to) = room.get_mut(at..)?.first_chunk_mut() else {
            break;
        };
        *to = eight;
        (at, from) = (at + 8, from + 8);
    }
    while at < end {
        *room.get_mut(at)? = *room.get(from)?;
        (at, from) = (at + 1, from + 1);
    }
    Some(())
}
