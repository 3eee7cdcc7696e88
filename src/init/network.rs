//! Who has which address, and the end of a link.
//!
//! Nothing is kept beside the records: an address is in use as long as the container that
//! holds it has not ended for good, and what PID 1 does not know it does not hand out.

use core::ffi::CStr;

use super::tables::{Kept, UNITS, UnitId, UnitRecord};
use super::units::spec_in;
use super::words::Words;
use super::{Init, launch};
use crate::format::fault::Step;
use crate::format::inet::Cidr;
use crate::format::spec::{Spec, Tag, flags};
use crate::jail;
use crate::policy::addresses;
use crate::sys::{self, Errno, process};

/// An unfinished release is tried again after this.
pub(super) const AGAIN_MS: u64 = 20;

/// The bridge that a container is at, if it is at any.
fn bridge_of(spec: Spec<'_>) -> &CStr {
    spec.string(Tag::Bridge).unwrap_or(jail::BRIDGE)
}

impl Init {
    /// Another container that is so, and has not ended for good.
    fn other(&self, id: UnitId, is_it: &dyn Fn(&UnitRecord, UnitId) -> bool) -> Option<UnitId> {
        (0..UNITS as UnitId).find(|other| {
            let lives = |u: &UnitRecord| !u.life.is_over() && is_it(u, *other);
            *other != id && self.t.unit(*other).is_some_and(lives)
        })
    }

    /// Who holds that address of the bridge.
    fn holder_of(&self, id: UnitId, bridge: &CStr, address: [u8; 4]) -> Option<UnitId> {
        self.other(id, &|unit, other| {
            // The bridge last: to find its name takes reading the spec.
            unit.address.is_some_and(|held| held.address == address)
                && self.spec_of(other).is_some_and(|s| bridge_of(s) == bridge)
        })
    }

    /// Decides on a link to a bridge and its address, before each launch. A held one is kept.
    #[inline(never)]
    pub(super) fn unit_network(&mut self, id: UnitId) -> Result<(), Errno> {
        let Some(spec) = spec_in(self.specs, self.t, id) else {
            return Ok(());
        };
        let config = self.t.config.bridge;
        let (link, fault) = self.network_for(id, spec, config);
        // Of all that there are no two are called the same: the end of one takes its link away by that.
        let mut number = sys::random();
        let held = |number| {
            let link_of = |id| self.t.unit(id).and_then(|u| u.link);
            (0..UNITS as UnitId).any(|other| link_of(other) == Some(number))
        };
        while held(number) {
            number = number.wrapping_add(1);
        }
        let (Some(record), refused) = (self.t.unit_mut(id), fault.is_some()) else {
            return Ok(());
        };
        (record.link, record.address) = match link {
            Some(address) => (Some(number), address),
            None => (None, None),
        };
        if refused {
            record.fault = fault;
            return Err(Errno::ADDRINUSE);
        }
        Ok(())
    }

    /// Whether there is a link, with which address; or why there cannot be.
    fn network_for(
        &self,
        id: UnitId,
        spec: Spec<'_>,
        config: Option<Cidr>,
    ) -> (Option<Option<Cidr>>, Option<Kept>) {
        let refused = |step, e: Errno, words: &Words| {
            let fault = jail::unable(step, e, words.as_str().as_bytes());
            (None, Some(Kept::of(fault)))
        };
        let held_by = |words: &mut Words, name: &str| {
            words.add(", held by ").add(name);
        };
        let name_of = |id| self.t.unit(id).map_or("", |u| u.name.as_str());
        let bridge = bridge_of(spec);
        let own = config.filter(|_| bridge == jail::BRIDGE);
        let apart = jail::namespaces(spec) & process::CLONE_NEWNET != 0;
        let mut address = spec.address();
        if !apart || spec.flags() & flags::NO_NET != 0 {
            address = None;
        } else if let Some(asked) = address {
            let mut words = Words::new("");
            words.address(asked);
            if own.is_some_and(|own| own.address == asked.address) {
                held_by(&mut words, "its bridge");
                return refused(Step::Address, Errno::ADDRINUSE, &words);
            }
            if let Some(other) = self.holder_of(id, bridge, asked.address) {
                held_by(&mut words, name_of(other));
                return refused(Step::Address, Errno::ADDRINUSE, &words);
            }
        } else if let Some(own) = own {
            let taken = |n: u32| self.holder_of(id, bridge, n.to_be_bytes()).is_some();
            let held = self.t.unit(id).and_then(|u| u.address);
            let number = match held.filter(|held| !taken(held.number())) {
                Some(held) => Some(held.number()),
                None => addresses::next(own, &taken),
            };
            let Some(number) = number else {
                let mut words = Words::new("of ");
                words.address(own).add(", none is free");
                return refused(Step::Address, Errno::ADDRNOTAVAIL, &words);
            };
            address = Some(Cidr {
                address: number.to_be_bytes(),
                bits: own.bits,
            });
        }
        let named = apart && spec.string(Tag::Bridge).is_some();
        let mut published = spec.published();
        if address.is_none() && (published.next().is_some() || (!named && spec.wants_link())) {
            let mut words = Words::new("");
            words.plain(bridge.to_bytes()).add(" without an address");
            return refused(Step::Link, Errno::ADDRNOTAVAIL, &words);
        }
        for (port, _, protocol) in spec.published() {
            let other = self.other(id, &|_, other| {
                let same = |(p, _, q)| (p, q) == (port, protocol);
                self.spec_of(other).is_some_and(|s| s.published().any(same))
            });
            if let Some(other) = other {
                let mut words = Words::new("port ");
                held_by(words.num(port.into()), name_of(other));
                return refused(Step::Publish, Errno::ADDRINUSE, &words);
            }
        }
        ((named || address.is_some()).then_some(address), None)
    }

    /// Takes a container's link and rules away, by a child; whether that is still to be waited for.
    pub(super) fn unit_release(&mut self, id: UnitId) -> bool {
        let Some(record) = self.t.unit_mut(id) else {
            return false;
        };
        let Some(number) = record.link else {
            return false;
        };
        if record.releasing != 0 {
            return true;
        }
        match process::fork(0, None) {
            Ok(process::Fork::Parent { pid, .. }) => {
                // It is the child's end that goes on with it; a time that stays due would keep the loop awake.
                (record.releasing, record.clean_again) = (pid, None);
            }
            Ok(process::Fork::Child) => {
                sys::enter_child();
                let mut name = Words::new(&record.name);
                jail::release(launch::link_name(number).path(), name.path());
                sys::exit(0)
            }
            Err(_) => record.clean_again = Some(sys::time::now_ms() + AGAIN_MS),
        }
        true
    }

    /// The child that did it has ended.
    pub(super) fn unit_released(&mut self, id: UnitId) {
        if let Some(record) = self.t.unit_mut(id) {
            (record.link, record.releasing) = (None, 0);
        }
        self.unit_clean(id);
    }
}
