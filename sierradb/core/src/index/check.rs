//! Checks a whole `.idx` file: every page, the order of every section, and that its lists add up.
//!
//! Whether it fits the segment is another question, answered best by building it again: equal facts give equal
//! bytes.

use super::entries::{log_position, stream_entry};
use super::filter;
use super::layout::prefix;
use super::page::Section;
use super::pages::IndexError;
use super::sealed::{List, MAX_OFFSETS, SealedIndex};

impl SealedIndex {
    /// Reads and checks everything, past the cache.
    ///
    /// # Errors
    /// The first page that is bad or contradicts another.
    pub(crate) async fn check(&self) -> Result<(), IndexError> {
        self.check_pages().await?;
        self.check_events().await?;
        self.check_streams().await?;
        self.check_partitions().await?;
        self.check_log().await
    }

    /// Checksums and kinds, of pages that no other check reads too.
    async fn check_pages(&self) -> Result<(), IndexError> {
        for section in Section::TABLED {
            let extent = self.footer.extent(section);
            let mut entries = 0;
            for page in extent.first_page..extent.first_page + extent.pages {
                let body = self.pages.entries_uncached(section, page).await?;
                entries += u64::try_from(body.len() / section.entry_len()).unwrap_or(0);
            }
            if entries != extent.entries {
                return Err(self.content(
                    section,
                    extent.first_page,
                    "not as many entries as noted",
                ));
            }
        }
        self.pages.entries_uncached(Section::Footer, self.pages.count() - 1).await.map(drop)
    }

    async fn check_events(&self) -> Result<(), IndexError> {
        let extent = self.footer.extent(Section::Events);
        let mask = (1_u64 << self.footer.offset_bits) - 1;
        let mut last = 0;
        for (page, fence) in (extent.first_page..).zip(&self.event_fences) {
            let wrong = |what| self.content(Section::Events, page, what);
            let body = self.pages.entries_uncached(Section::Events, page).await?;
            let entries = body.as_chunks::<8>().0;
            if entries.first().map(|entry| prefix(u64::from_le_bytes(*entry))) != Some(*fence) {
                return Err(wrong("first entry differs from its fence"));
            }
            for entry in entries {
                let entry = u64::from_le_bytes(*entry);
                if entry < last {
                    return Err(wrong("entries out of order"));
                }
                last = entry;
                self.offset(Section::Events, page, entry & mask)?;
            }
        }
        Ok(())
    }

    async fn check_streams(&self) -> Result<(), IndexError> {
        let extent = self.footer.extent(Section::Streams);
        let fingerprints = self.stream_fingerprints().await?;
        let (mut last, mut events) = (0, 0);
        for (page, fence) in (extent.first_page..).zip(&self.stream_fences) {
            let wrong = |what| self.content(Section::Streams, page, what);
            let body = self.pages.entries_uncached(Section::Streams, page).await?;
            let entries = body.as_chunks::<32>().0;
            if entries.first().map(|entry| prefix(stream_entry(entry).0)) != Some(*fence) {
                return Err(wrong("first entry differs from its fence"));
            }
            for (hash, entry) in entries.iter().map(stream_entry) {
                if hash < last {
                    return Err(wrong("entries out of order"));
                }
                last = hash;
                if let Some(shape) = self.footer.stream_filter
                    && filter::may_contain(&shape, &fingerprints, hash) != Some(true)
                {
                    return Err(wrong("a stream its filter does not know"));
                }
                events += u64::from(entry.count);
                self.check_list(List {
                    section: Section::StreamPostings,
                    start: entry.postings,
                    count: entry.count,
                    first_offset: entry.first_offset,
                })
                .await?;
            }
        }
        if events == self.footer.events {
            return Ok(());
        }
        Err(self.content(
            Section::Streams,
            extent.first_page,
            "streams do not add up to all events",
        ))
    }

    async fn stream_fingerprints(&self) -> Result<Vec<u8>, IndexError> {
        let extent = self.footer.extent(Section::StreamFilter);
        let mut fingerprints = Vec::new();
        for page in extent.first_page..extent.first_page + extent.pages {
            let body = self.pages.entries_uncached(Section::StreamFilter, page).await?;
            fingerprints.extend_from_slice(&body);
        }
        Ok(fingerprints)
    }

    async fn check_partitions(&self) -> Result<(), IndexError> {
        let page = self.footer.extent(Section::Partitions).first_page;
        let wrong = |what| self.content(Section::Partitions, page, what);
        if !self.partitions.is_sorted_by(|a, b| a.partition < b.partition) {
            return Err(wrong("entries out of order"));
        }
        let mut events = 0;
        for entry in &self.partitions {
            events += u64::from(entry.count);
            self.check_list(List {
                section: Section::PartitionPostings,
                start: entry.postings,
                count: entry.count,
                first_offset: entry.first_offset,
            })
            .await?;
        }
        if events == self.footer.events {
            return Ok(());
        }
        Err(wrong("partitions do not add up to all events"))
    }

    /// Reads a list from its beginning, and from every entry of its skip table.
    async fn check_list(&self, list: List) -> Result<(), IndexError> {
        let mut nth = 0;
        let mut last = None;
        while nth < list.count {
            let offsets = self.offsets(list, nth, MAX_OFFSETS.min(list.count - nth)).await?;
            for offset in &offsets {
                if last.is_some_and(|last| *offset < last) {
                    let page = self.footer.extent(list.section).first_page;
                    return Err(self.content(list.section, page, "a list that falls"));
                }
                last = Some(*offset);
            }
            nth = nth.saturating_add(u32::try_from(offsets.len()).unwrap_or(u32::MAX));
        }
        self.check_skips(list).await
    }

    async fn check_skips(&self, list: List) -> Result<(), IndexError> {
        let mut nth = super::postings::SKIP_EVERY;
        while nth < list.count {
            let (jumped, walked) =
                (self.offsets(list, nth, 1).await?, self.offsets(list, nth - 1, 2).await?);
            if jumped.first() != walked.last() {
                let page = self.footer.extent(list.section).first_page;
                return Err(self.content(list.section, page, "a skip entry that leads elsewhere"));
            }
            nth = nth.saturating_add(super::postings::SKIP_EVERY);
        }
        Ok(())
    }

    async fn check_log(&self) -> Result<(), IndexError> {
        let extent = self.footer.extent(Section::Log);
        let mut last = None;
        for (page, fence) in (extent.first_page..).zip(&self.log_fences) {
            let wrong = |what| self.content(Section::Log, page, what);
            let body = self.pages.entries_uncached(Section::Log, page).await?;
            let positions = body.as_chunks::<24>().0.iter().map(log_position);
            let first = positions.clone().next().map(|position| position.index);
            if first != self.footer.first_index.checked_add(u64::from(*fence)) {
                return Err(wrong("first entry differs from its fence"));
            }
            for position in positions {
                let facts = (position.index, position.term, position.offset);
                let rises = last.is_none_or(|(index, term, offset)| {
                    facts.0 > index && facts.1 >= term && facts.2 > offset
                });
                if !rises {
                    return Err(wrong("entries out of order"));
                }
                last = Some(facts);
            }
        }
        Ok(())
    }
}
