import Maildirs

/// The mailboxes of a store, or some of them, in the order of their folders and a page at a time.
struct MailboxPages: Sendable {
    private static let mailboxesPerPage = 64

    private let read: @Sendable (_ last: MailboxKey?, _ count: Int) async -> Result<MailboxPage, MaildirError>
    private var last: MailboxKey?
    private var isOver = false

    /// - Parameter read: gives so many mailboxes at most behind `last`, or the first ones.
    init(
        _ read: @escaping @Sendable (_ last: MailboxKey?, _ count: Int) async throws(MaildirError) -> MailboxPage
    ) {
        self.read = { last, count in
            do throws(MaildirError) {
                return .success(try await read(last, count))
            } catch {
                return .failure(error)
            }
        }
    }

    /// Nil if that was all. A page with a failure may lack mailboxes, and any may have none.
    mutating func next() async -> MailboxPage? {
        guard !isOver else { return nil }
        let page: MailboxPage
        switch await read(last, Self.mailboxesPerPage) {
        case .success(let found): page = found
        case .failure(let error): page = MailboxPage(failure: error)
        }
        last = page.last
        isOver = last == nil
        return isOver && page.keys.isEmpty && page.failure == nil ? nil : page
    }
}

extension MaildirStore {
    /// Those of this node.
    ///
    /// - Parameter partition: where to begin; nil for the first.
    func pages(from partition: Int? = nil) -> MailboxPages {
        MailboxPages { last, count throws(MaildirError) in
            try await self.mailboxes(from: partition, after: last, count: count)
        }
    }

    func pages(ofPartition partition: Int) -> MailboxPages {
        MailboxPages { last, count throws(MaildirError) in
            try await self.mailboxes(ofPartition: partition, after: last, count: count)
        }
    }

    /// Those in which something waits.
    func pages(heldFor target: SpoolTarget) -> MailboxPages {
        MailboxPages { last, count throws(MaildirError) in
            try await self.mailboxes(heldFor: target, after: last, count: count)
        }
    }
}
