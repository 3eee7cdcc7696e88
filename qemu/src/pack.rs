//! Packs bytes into the form of `src/format/pack.rs`: the cheapest row of steps it can find
//!
//! What a step costs depends on counts that depend on the steps: so rows are looked for again and again, each time at
//! the prices that the last row had. A row is found from the front: at each place the cheapest few ways there are
//! kept, since a dear way with better old distances may win later. Prices are whole numbers, so the same input gives
//! the same bytes on every machine.

use pouch::format::pack::{
    Form, GROUPS, LAST, LONG_BITS, LOW, MATCH, MODELS, Models, NEAR, NEAR_BITS, OLDER, OLDER_KINDS, SHORT, SLOTS,
    STEPS, WHOLE, length_range, slot_bits,
};
use std::collections::HashMap;

/// Parts of a bit that prices are counted in.
const BIT: u32 = 256;
/// How many ways are kept at each place, each time that a row is looked for: the last times, which change little, look
/// closely.
const ROUNDS: [usize; 8] = [4, 4, 4, 4, 4, 4, WAYS, WAYS];
/// The most ways that are kept at a place.
const WAYS: usize = 16;
/// The longest match, which every kind of length can say.
const LONGEST: usize = 512;
/// Lengths of a match that are tried one by one; of a longer one those and the whole.
const TRIED: usize = 32;

/// One step of a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    /// A byte as it is.
    Byte,
    /// One byte from the last distance.
    Short,
    /// From a distance of its own.
    Match { len: usize, distance: usize },
    /// From one of the last four.
    Again { which: usize, len: usize },
}

impl Step {
    fn len(self) -> usize {
        match self {
            Step::Byte | Step::Short => 1,
            Step::Match { len, .. } | Step::Again { len, .. } => len,
        }
    }

    /// Its symbol, and the bits behind that.
    fn symbol(self, byte: u8) -> (usize, usize, u32) {
        let kind = |first, len| {
            let (kind, value, bits) = length_kind(len);
            (first + kind, value, bits)
        };
        match self {
            Step::Byte => (usize::from(byte), 0, 0),
            Step::Short => (SHORT, 0, 0),
            Step::Match { len, .. } => kind(MATCH, len),
            Step::Again { which: 0, len } => kind(LAST, len),
            Step::Again { which, len } => {
                let first = OLDER + (which - 1) * OLDER_KINDS;
                match len - 2 {
                    short if short < OLDER_KINDS - 1 => (first + short, 0, 0),
                    _ => (first + OLDER_KINDS - 1, len, LONG_BITS),
                }
            }
        }
    }
}

/// What a row has of each symbol.
struct Tally {
    steps: Vec<[u32; STEPS]>,
    slot: [[u32; SLOTS]; 4],
    near: [[u32; 16]; NEAR],
    low: [u32; 16],
    /// Steps by the byte before: what groups are made by.
    pairs: Vec<[u32; STEPS]>,
}

/// A symbol on its way out: of a model, or so many bits as they are.
#[derive(Clone, Copy)]
enum Symbol {
    Share { start: u32, share: u32 },
    Bits { value: u32, count: u32 },
}

/// Whom a row's symbols are told to.
trait Sink {
    fn step(&mut self, model: usize, symbol: usize, before: u8);
    fn slot(&mut self, model: usize, symbol: usize);
    fn near(&mut self, slot: usize, symbol: usize);
    fn low(&mut self, symbol: usize);
    fn bits(&mut self, value: usize, count: u32);
}

/// The kind of a length, and the bits behind it.
fn length_kind(len: usize) -> (usize, usize, u32) {
    if len < 18 {
        return (len - 2, 0, 0);
    }
    let bits = (len - 14).ilog2();
    (14 + bits as usize, len - length_range(14 + bits as usize).0, bits)
}

/// The slot of a distance less one, and the bits behind it.
fn slot_of(less: usize) -> (usize, usize) {
    if less < 4 {
        return (less, 0);
    }
    let high = less.ilog2();
    let slot = (high as usize) * 2 + (less >> (high - 1) & 1);
    (slot, less & ((1 << slot_bits(slot)) - 1))
}

/// The last four distances behind a step.
fn behind(back: [usize; 4], step: Step) -> [usize; 4] {
    let mut back = back;
    match step {
        Step::Match { distance, .. } => [distance, back[0], back[1], back[2]],
        Step::Again { which, .. } => {
            back[..=which].rotate_right(1);
            back
        }
        _ => back,
    }
}

/// Tells of every symbol of a row.
fn tell(form: &Form, data: &[u8], row: &[Step], sink: &mut impl Sink) {
    let (mut at, mut behind_match) = (0, false);
    for step in row {
        let before = if at == 0 { 0 } else { data[at - 1] };
        let (symbol, value, bits) = step.symbol(data[at]);
        sink.step(form.model(form.group_of(before, behind_match), at), symbol, before);
        if bits > 0 {
            sink.bits(value, bits);
        }
        if let Step::Match { len, distance } = *step {
            let (slot, value) = slot_of(distance - 1);
            sink.slot((len - 2).min(3), slot);
            match slot {
                0..4 => {}
                4..NEAR => sink.near(slot, value),
                _ => {
                    sink.bits(value >> 4, slot_bits(slot) - 4);
                    sink.low(value & 15);
                }
            }
        }
        behind_match = *step != Step::Byte;
        at += step.len();
    }
}

impl Tally {
    fn of(form: &Form, data: &[u8], row: &[Step]) -> Self {
        let mut tally = Self {
            steps: vec![[0; STEPS]; MODELS],
            slot: [[0; SLOTS]; 4],
            near: [[0; 16]; NEAR],
            low: [0; 16],
            pairs: vec![[0; STEPS]; 256],
        };
        tell(form, data, row, &mut tally);
        tally
    }
}

impl Sink for Tally {
    fn step(&mut self, model: usize, symbol: usize, before: u8) {
        self.steps[model][symbol] += 1;
        self.pairs[usize::from(before)][symbol] += 1;
    }
    fn slot(&mut self, model: usize, symbol: usize) {
        self.slot[model][symbol] += 1;
    }
    fn near(&mut self, slot: usize, symbol: usize) {
        self.near[slot][symbol] += 1;
    }
    fn low(&mut self, symbol: usize) {
        self.low[symbol] += 1;
    }
    fn bits(&mut self, _: usize, _: u32) {}
}

/// The row's symbols with the shares that they have when they come.
struct Coded {
    models: Box<Models>,
    symbols: Vec<Symbol>,
}

impl Coded {
    fn few(&mut self, model: usize, symbol: usize) {
        self.symbols.push(coded(&mut self.models.few[model], symbol));
    }
}

impl Sink for Coded {
    fn step(&mut self, model: usize, symbol: usize, _: u8) {
        self.symbols.push(coded(&mut self.models.steps[model], symbol));
    }
    fn slot(&mut self, model: usize, symbol: usize) {
        self.few(model, symbol);
    }
    fn near(&mut self, slot: usize, symbol: usize) {
        self.few(NEAR_BITS + slot, symbol);
    }
    fn low(&mut self, symbol: usize) {
        self.few(LOW, symbol);
    }
    fn bits(&mut self, value: usize, count: u32) {
        self.symbols.push(Symbol::Bits { value: u32::try_from(value).unwrap_or(0), count });
    }
}

fn coded<const N: usize, const LOOK: usize>(model: &mut pouch::format::pack::Model<N, LOOK>, symbol: usize) -> Symbol {
    let (start, share) = model.share_of(symbol);
    model.learn(symbol);
    Symbol::Share { start, share }
}

/// What symbols cost.
struct Prices {
    steps: Vec<[u32; STEPS]>,
    slot: [[u32; SLOTS]; 4],
    near: [[u32; 16]; NEAR],
    low: [u32; 16],
}

/// log2 of a number in parts of a bit.
fn log2(number: u64) -> u32 {
    let whole = number.max(1).ilog2();
    // One to two, in 32 bits behind the point: squared, each bit of the logarithm falls out.
    let mut rest = (u128::from(number.max(1)) << 32) >> whole;
    let mut log = whole;
    for _ in 0..BIT.ilog2() {
        rest = (rest * rest) >> 32;
        log = log << 1 | u32::from(rest >> 33 != 0);
        rest >>= u32::from(rest >> 33 != 0);
    }
    log
}

/// Prices of one model's symbols; one that never came is dear and not forbidden.
fn prices<const N: usize>(tally: &[u32; N], symbols: usize) -> [u32; N] {
    let sum: u64 = tally.iter().map(|count| u64::from(*count) * 2 + 1).take(symbols).sum();
    tally.map(|count| log2(sum << 8) - log2((u64::from(count) * 2 + 1) << 8))
}

impl Prices {
    fn of(tally: &Tally) -> Self {
        Self {
            steps: tally.steps.iter().map(|model| prices(model, STEPS)).collect(),
            slot: tally.slot.map(|model| prices(&model, SLOTS)),
            near: std::array::from_fn(|slot| prices(&tally.near[slot], 1 << slot_bits(slot))),
            low: prices(&tally.low, 16),
        }
    }

    /// Of a distance, by the length of its match.
    fn distance(&self, distance: usize) -> [u32; 4] {
        let (slot, value) = slot_of(distance - 1);
        let bits = slot_bits(slot);
        let more = match slot {
            0..4 => 0,
            4..NEAR => self.near[slot][value],
            _ => (bits - 4) * BIT + self.low[value & 15],
        };
        std::array::from_fn(|len| self.slot[len][slot] + more)
    }
}

/// For each place the matches that begin there: ever longer ones, each from as near as it can be had.
fn matches(data: &[u8]) -> Vec<Vec<(usize, usize)>> {
    let mut two: HashMap<[u8; 2], usize> = HashMap::new();
    let mut three: HashMap<[u8; 3], usize> = HashMap::new();
    // The place before with the same three bytes.
    let mut chain = vec![usize::MAX; data.len()];
    let mut found = vec![Vec::new(); data.len()];
    for at in 0..data.len() {
        let mut best = 1;
        if let Some(bytes) = data[at..].first_chunk()
            && let Some(from) = two.insert(*bytes, at)
        {
            best = 2;
            found[at].push((2, at - from));
        }
        let Some(bytes) = data[at..].first_chunk() else { continue };
        let mut from = three.insert(*bytes, at).unwrap_or(usize::MAX);
        chain[at] = from;
        while from != usize::MAX && best < LONGEST {
            // One that is no longer than the best ends before its last byte; most are told so by one look.
            if data.get(at + best) == data.get(from + best) || best < 3 {
                let len = same(data, from, at);
                if len > best {
                    best = len;
                    found[at].push((len, at - from));
                }
            }
            from = chain[from];
        }
    }
    found
}

/// How many bytes from there are those from here.
fn same(data: &[u8], from: usize, at: usize) -> usize {
    data[at..].iter().zip(&data[from..]).take(LONGEST).take_while(|(a, b)| a == b).count()
}

/// A way to a place.
#[derive(Clone, Copy)]
struct Way {
    cost: u32,
    step: Step,
    /// Which of the ways to the place before.
    from: usize,
    behind_match: bool,
    back: [usize; 4],
}

/// The cheapest ways to a place, each with other distances, or by a byte or a match.
type Ways = heapless::Vec<Way, WAYS>;

fn offer(ways: &mut Ways, most: usize, way: Way) {
    if let Some(same) = ways.iter_mut().find(|one| one.back == way.back && one.behind_match == way.behind_match) {
        if way.cost < same.cost {
            *same = way;
        }
    } else if ways.len() < most {
        let _ = ways.push(way);
    } else if let Some(dearest) = ways.iter_mut().max_by_key(|one| one.cost)
        && way.cost < dearest.cost
    {
        *dearest = way;
    }
}

/// The lengths of a match that are tried, down to `least`.
fn lengths(least: usize, most: usize) -> impl Iterator<Item = usize> {
    let some = most.min(least + TRIED);
    (least..=some).chain((some < most).then_some(most))
}

/// The cheapest row.
fn cheapest(form: &Form, data: &[u8], matches: &[Vec<(usize, usize)>], prices: &Prices, most_ways: usize) -> Vec<Step> {
    let mut places = vec![Ways::new(); data.len() + 1];
    offer(&mut places[0], most_ways, Way { cost: 0, step: Step::Byte, from: 0, behind_match: false, back: [1; 4] });
    for at in 0..data.len() {
        let before = if at == 0 { 0 } else { data[at - 1] };
        for (from, way) in places[at].clone().iter().enumerate() {
            let step_prices = &prices.steps[form.model(form.group_of(before, way.behind_match), at)];
            let mut go = |step: Step, price: u32| {
                let (symbol, _, bits) = step.symbol(data[at]);
                let cost = way.cost + step_prices[symbol] + bits * BIT + price;
                let (behind_match, back) = (step != Step::Byte, behind(way.back, step));
                offer(&mut places[at + step.len()], most_ways, Way { cost, step, from, behind_match, back });
            };
            go(Step::Byte, 0);
            for (which, distance) in way.back.into_iter().enumerate() {
                if distance > at || way.back[..which].contains(&distance) {
                    continue;
                }
                let len = same(data, at - distance, at);
                if which == 0 && len > 0 {
                    go(Step::Short, 0);
                }
                for len in lengths(2, len) {
                    go(Step::Again { which, len }, 0);
                }
            }
            let mut least = 2;
            for &(most, distance) in &matches[at] {
                let by_length = prices.distance(distance);
                for len in lengths(least, most) {
                    go(Step::Match { len, distance }, by_length[(len - 2).min(3)]);
                }
                least = most + 1;
            }
        }
    }
    let mut row = Vec::new();
    let mut at = data.len();
    let mut which = places[at].iter().enumerate().min_by_key(|(_, way)| way.cost).map_or(0, |(number, _)| number);
    while at > 0 {
        let way = places[at][which];
        row.push(way.step);
        (at, which) = (at - way.step.len(), way.from);
    }
    row.reverse();
    row
}

/// Bits of what these counts are of, at their own shares, and what it costs to learn them.
fn entropy(counts: &[u32; STEPS]) -> u64 {
    let sum: u64 = counts.iter().map(|count| u64::from(*count)).sum();
    let bits = |count: &u32| u64::from(*count) * u64::from(log2(sum << 8) - log2(u64::from(*count) << 8));
    counts.iter().filter(|count| **count > 0).map(|count| bits(count) + 5 * u64::from(BIT)).sum()
}

/// Puts bytes before into as many groups, by what comes behind them: the two that are most alike become one, until few
/// enough are left.
fn groups(pairs: &[[u32; STEPS]], most: usize) -> [u8; 256] {
    let mut group = [0; 256];
    let mut left: Vec<(Vec<usize>, [u32; STEPS], u64)> = (0..256)
        .filter(|byte| pairs[*byte].iter().any(|count| *count > 0))
        .map(|byte| (vec![byte], pairs[byte], entropy(&pairs[byte])))
        .collect();
    let both = |a: &[u32; STEPS], b: &[u32; STEPS]| std::array::from_fn(|symbol| a[symbol] + b[symbol]);
    // What it costs to make one of two: kept, since each merge changes those of one group alone.
    let dearer = |a: &(Vec<usize>, [u32; STEPS], u64), b: &(Vec<usize>, [u32; STEPS], u64)| {
        i64::try_from(entropy(&both(&a.1, &b.1))).unwrap_or(i64::MAX) - i64::try_from(a.2 + b.2).unwrap_or(0)
    };
    let mut costs: Vec<Vec<i64>> =
        (0..left.len()).map(|a| (0..a).map(|b| dearer(&left[a], &left[b])).collect()).collect();
    while left.len() > most {
        let all = (0..left.len()).flat_map(|a| (0..a).map(move |b| (a, b)));
        let Some((a, b)) = all.min_by_key(|&(a, b)| (costs[a][b], a, b)) else { break };
        let gone = left.remove(a);
        costs.remove(a);
        costs.iter_mut().for_each(|row| {
            if row.len() > a {
                row.remove(a);
            }
        });
        left[b].1 = both(&left[b].1, &gone.1);
        left[b].0.extend(gone.0);
        left[b].2 = entropy(&left[b].1);
        for other in 0..left.len() {
            if other != b {
                let (high, low) = (other.max(b), other.min(b));
                costs[high][low] = dearer(&left[high], &left[low]);
            }
        }
    }
    for (number, (bytes, ..)) in left.iter().enumerate() {
        for byte in bytes {
            group[*byte] = u8::try_from(number).unwrap_or(0);
        }
    }
    group
}

/// How a processor's code is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// Low bits of its place that choose a step's counts.
    pub place_bits: u32,
    /// Whether a step behind a match has counts of its own.
    pub behind_match: bool,
    /// Groups of bytes before.
    pub groups: usize,
}

/// Packs `data` so that [`pouch::format::pack::unpack`] gives it back.
///
/// # Panics
/// A manner with more counts than there are places for: groups times two to the power of the place's bits, at most 32;
/// with counts behind a match, sixteen groups without bits of the place.
#[must_use]
pub fn pack(data: &[u8], manner: Manner) -> Vec<u8> {
    let all = if manner.behind_match { 2 * GROUPS } else { manner.groups };
    assert!(manner.groups <= GROUPS && all << manner.place_bits <= MODELS, "{manner:?}: too many counts");
    let matches = matches(data);
    // At first a byte's group is its highest bits.
    let shift = 8 - manner.groups.ilog2();
    let mut form = Form {
        place_bits: manner.place_bits,
        behind_match: manner.behind_match,
        group: std::array::from_fn(|byte| u8::try_from(byte >> shift).unwrap_or(0)),
    };
    let mut prices = Prices::of(&Tally::of(&form, data, &[]));
    let mut row = Vec::new();
    for (round, most_ways) in ROUNDS.into_iter().enumerate() {
        row = cheapest(&form, data, &matches, &prices, most_ways);
        let mut tally = Tally::of(&form, data, &row);
        if round == 1 || round == 3 {
            form.group = groups(&tally.pairs, manner.groups);
            tally = Tally::of(&form, data, &row);
        }
        prices = Prices::of(&tally);
    }
    let mut coded = Coded { models: models(), symbols: Vec::new() };
    coded.models.begin();
    tell(&form, data, &row, &mut coded);
    let mut packed = form.emit().to_vec();
    packed.extend(code(&coded.symbols));
    packed
}

/// Models that were not begun.
fn models() -> Box<Models> {
    Box::new(Models::NONE)
}

/// The decoder's first state and its words: an rANS encoder goes from the last symbol to the first.
fn code(symbols: &[Symbol]) -> Vec<u8> {
    let mut words = Vec::new();
    let mut state: u32 = 1 << 16;
    for symbol in symbols.iter().rev() {
        // A state that would not fit any more gives its low half away first.
        let most = match *symbol {
            Symbol::Share { share, .. } => u64::from(share) << 20,
            Symbol::Bits { count, .. } => 1 << (32 - count),
        };
        if u64::from(state) >= most {
            words.push((state & 0xffff) as u16);
            state >>= 16;
        }
        state = match *symbol {
            Symbol::Share { start, share } => state / share * WHOLE + state % share + start,
            Symbol::Bits { value, count } => state << count | value,
        };
    }
    let mut bytes = state.to_le_bytes().to_vec();
    bytes.extend(words.iter().rev().flat_map(|word| word.to_le_bytes()));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use pouch::format::pack::KINDS;

    const MANNERS: [Manner; 3] = [
        Manner { place_bits: 0, behind_match: true, groups: 16 },
        Manner { place_bits: 2, behind_match: false, groups: 8 },
        Manner { place_bits: 1, behind_match: false, groups: 8 },
    ];

    fn unpack(packed: &[u8], room: &mut [u8]) -> Option<()> {
        pouch::format::pack::unpack(packed, room, &mut models())
    }

    #[test]
    fn what_is_packed_unpacks() {
        let text = &include_bytes!("pack.rs")[..6000];
        let mut zeros = vec![0; 5000];
        zeros[4000..4100].copy_from_slice(&text[..100]);
        let noise: Vec<u8> =
            (0..3000u32).map(|number| (number.wrapping_mul(0x9e37_79b9).rotate_left(11) >> 24) as u8).collect();
        for data in [text, b"", b"a", b"aaaaaaaaaaaaaaaaaaaaaaa", &zeros, &noise] {
            for manner in MANNERS {
                let packed = pack(data, manner);
                assert!(packed.len() < data.len() * 21 / 20 + 150, "{} of {}", packed.len(), data.len());
                let mut room = vec![0; data.len()];
                assert_eq!(unpack(&packed, &mut room), Some(()));
                assert!(room == data);
            }
        }
    }

    #[test]
    fn a_damaged_one_ends_and_harms_nobody() {
        let text = &include_bytes!("pack.rs")[..3000];
        let packed = pack(text, MANNERS[0]);
        let mut room = vec![0; text.len()];
        let mut changed = 0;
        for bit in (0..packed.len() * 8).step_by(7) {
            let mut damaged = packed.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            changed += usize::from(unpack(&damaged, &mut room).is_none() || room != text);
        }
        // Groups of bytes that never come before another are nobody's loss.
        assert!(changed * 8 > packed.len() * 8 / 7 * 7, "{changed}");
        for len in (0..packed.len()).step_by(11) {
            assert!(unpack(&packed[..len], &mut room).is_none() || room != text, "{len}");
        }
        for room in [&mut room[..0], &mut vec![0; 100_000]] {
            let _ = unpack(&packed, room);
        }
    }

    #[test]
    fn every_length_and_distance_has_a_kind_that_reads_it_back() {
        for len in 2..=LONGEST {
            let (kind, value, bits) = length_kind(len);
            assert!(kind < KINDS && value < 1 << bits);
            assert_eq!(if kind < 16 { kind + 2 } else { length_range(kind).0 + value }, len);
            assert!(kind < 16 || length_range(kind).1 == bits);
        }
        for less in (0..5000).chain((12..30).flat_map(|bits| [(1 << bits) - 1, 1 << bits])) {
            let (slot, value) = slot_of(less);
            let found = if slot < 4 { slot } else { ((2 | slot & 1) << slot_bits(slot)) + value };
            assert_eq!((found, slot < 64), (less, true));
        }
    }

    #[test]
    fn a_logarithm_is_near_enough() {
        for number in [1, 2, 3, 5, 1000, 65_535, 1 << 40] {
            let exact = (number as f64).log2() * f64::from(BIT);
            assert!((f64::from(log2(number)) - exact).abs() <= 1.0, "{number}");
        }
    }
}
