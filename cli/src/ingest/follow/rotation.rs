//! Rotation: which file the position is of, which files are to be read before the present one, and
//! what of them was not sent.

use super::Follower;
use super::piece::Source;
use crate::ingest::position::{Identity, Place, modified};
use crate::ingest::rotated::{self, Neighbour};
use std::fs::File;
use std::io::Write;

/// Rotated files that are looked at once more.
const BEFORE_MAX: usize = 8;

impl Follower<'_> {
    /// Makes the position one of the present file; those that it was before, and that came between,
    /// are to be read first.
    pub(super) fn settle(
        &mut self,
        file: Option<&mut File>,
        out: &mut impl Write,
    ) -> anyhow::Result<()> {
        let Some(file) = file else {
            return if self.position.here.file.is_some() {
                self.leave(None, out)
            } else {
                Ok(())
            };
        };
        if !self.position.here.is_of(file)? {
            return self.leave(Some(file), out);
        }
        let metadata = file.metadata()?;
        let here = &mut self.position.here;
        let is_new = here.file.is_none();
        here.file = Some(Identity::of(&metadata));
        here.modified = here.modified.or(Some(modified(&metadata)));
        let seen = here.modified;
        // Titles are those of many files, and no content is that of all: it may have been
        // truncated.
        let has_more = !here.has_records && {
            let beside = rotated::neighbours(&self.args.file, &self.kept_in)?;
            self.take_between(&beside, seen, Some(Identity::of(&metadata)), out)?
        };
        if is_new || has_more {
            self.position.save(&self.kept_in)
        } else {
            Ok(())
        }
    }

    /// What is left of a rotated file.
    pub(super) async fn rest_of(
        &mut self,
        number: usize,
        beside: &[Neighbour],
        out: &mut impl Write,
    ) -> anyhow::Result<bool> {
        let Some(place) = self.position.before.get(number).cloned() else {
            return Ok(false);
        };
        let Some((file, found)) = rotated::itself(&place, beside)? else {
            if !place.is_read {
                self.not_sent("a rotated file", &place, out)?;
            } else if let Some((packed, true)) =
                rotated::packed_of(&place, &self.position.before, beside)?
            {
                let path = packed.path.display();
                self.not_sent(
                    &format!(
                        "{path} was written to before it was compressed, and the uncompressed file"
                    ),
                    &place,
                    out,
                )?;
            }
            return self.leave_behind(number).map(|()| false);
        };
        let (is_read, seen) = (place.is_read, modified(&file.metadata()?));
        match self
            .piece(
                Source {
                    file,
                    path: found.path,
                    place,
                    is_old: true,
                },
                out,
            )
            .await?
        {
            Some(place) => {
                if let Some(kept) = self.position.before.get_mut(number) {
                    *kept = place;
                }
                self.position.save(&self.kept_in)?;
                Ok(true)
            }
            // Nothing more, as of its last writing.
            None => self.read_to_its_end(number, is_read, seen).map(|()| false),
        }
    }

    fn read_to_its_end(&mut self, number: usize, was_read: bool, seen: u64) -> anyhow::Result<()> {
        let Some(place) = self.position.before.get_mut(number) else {
            return Ok(());
        };
        let is_as_noted = was_read && place.modified >= Some(seen);
        (place.is_read, place.modified) = (true, place.modified.max(Some(seen)));
        if is_as_noted {
            Ok(())
        } else {
            self.position.save(&self.kept_in)
        }
    }

    /// A file that is not there any more.
    fn leave_behind(&mut self, number: usize) -> anyhow::Result<()> {
        if let Some(place) = self.position.before.get_mut(number) {
            (place.is_read, place.is_gone) = (true, true);
        }
        self.position.save(&self.kept_in)
    }

    /// Those that are gone, and the oldest of the files that were read.
    pub(super) fn forget(&mut self) {
        self.position.before.retain(|place| !place.is_gone);
        while self.position.before.len() > BEFORE_MAX {
            let Some(oldest) = self.position.before.iter().position(|place| place.is_read) else {
                return;
            };
            self.position.before.remove(oldest);
        }
    }

    /// The name is another file's, or nobody's at the moment: the file of the position is looked
    /// for beside it.
    fn leave(&mut self, file: Option<&mut File>, out: &mut impl Write) -> anyhow::Result<()> {
        let here = self.position.here.clone();
        let metadata = file.as_ref().map(|file| file.metadata()).transpose()?;
        let now = metadata.as_ref().map(Identity::of);
        let beside = rotated::neighbours(&self.args.file, &self.kept_in)?;
        let is_itself = match file {
            Some(file) => here.has_records && here.is_in(file)?,
            None => false,
        };
        match rotated::find(&here, &beside, now.is_some() && now == here.file)? {
            Some((_, found)) => {
                self.position
                    .before
                    .retain(|place| place.file != Some(found.identity));
                self.position.before.push(Place {
                    file: Some(found.identity),
                    is_read: false,
                    ..here.clone()
                });
            }
            // Removed, and not yet written again.
            None if metadata.is_none() => return Ok(()),
            // Put back, or replaced by a copy of itself: its records say so.
            None if is_itself => {
                self.position.here.file = now;
                return self.position.save(&self.kept_in);
            }
            None => self.not_sent(
                &format!("{} was rotated, and the old file", self.args.file.display()),
                &here,
                out,
            )?,
        }
        // Without a file of its own yet: what was seen last tells which files came between.
        let nowhere = || Place {
            modified: here.modified,
            ..Place::default()
        };
        self.position.here = metadata.as_ref().map_or_else(nowhere, Place::start_of);
        self.take_between(&beside, here.modified, now, out)?;
        self.position.save(&self.kept_in)
    }

    /// Files that were rotated away since, and that nobody has read.
    fn take_between(
        &mut self,
        beside: &[Neighbour],
        seen: Option<u64>,
        now: Option<Identity>,
        out: &mut impl Write,
    ) -> anyhow::Result<bool> {
        let is_known = |other: &Neighbour| {
            self.position
                .before
                .iter()
                .any(|place| place.file == Some(other.identity))
        };
        let is_between = |other: &&Neighbour| {
            other.is_rotated()
                && seen.is_some_and(|seen| other.modified > seen)
                && now != Some(other.identity)
                && !is_known(other)
        };
        let between: Vec<&Neighbour> = beside.iter().filter(is_between).collect();
        let is_beside = |place: &Place| {
            beside
                .iter()
                .any(|other| place.file == Some(other.identity))
        };
        let mut theirs = Vec::new();
        for place in self
            .position
            .before
            .iter()
            .filter(|place| place.is_read && !place.is_gone && !is_beside(place))
        {
            theirs.extend(
                rotated::packed_of(place, &self.position.before, beside)?
                    .map(|(packed, _)| packed.identity),
            );
        }
        for other in &between {
            if theirs.contains(&other.identity) {
                // Of a file that is known: what it lacks is said of that one.
            } else if other.is_packed() {
                self.summary.files_not_found += 1;
                writeln!(
                    out,
                    "{} is compressed and was not read: decompress it and send it separately",
                    other.path.display()
                )?;
            } else {
                self.position.before.push(Place {
                    file: Some(other.identity),
                    ..Place::default()
                });
            }
        }
        if let Some(latest) = between.iter().map(|other| other.modified).max() {
            self.position.here.modified = self.position.here.modified.max(Some(latest));
        }
        Ok(!between.is_empty())
    }

    fn not_sent(&mut self, what: &str, place: &Place, out: &mut impl Write) -> anyhow::Result<()> {
        self.summary.files_not_found += 1;
        writeln!(
            out,
            "{what} is not in the same directory: its content after byte {} (line {}) was not sent",
            place.offset, place.lines
        )?;
        Ok(out.flush()?)
    }
}
