import Glibc
import Synchronization

/// Some mailboxes of a store, in the order of their folders.
package struct MailboxPage: Sendable {
    package var keys: [MailboxKey] = []
    /// Why there may be more among them: the first folder that could not be read.
    package var failure: MaildirError?
    /// The last one that was looked at, behind which the next page begins; nil if these were all.
    package var last: MailboxKey?

    package init(keys: [MailboxKey] = [], failure: MaildirError? = nil) {
        self.keys = keys
        self.failure = failure
    }
}

/// Goes over all mailboxes of a store, or over all that wait for another node: slowly, so that deliveries do not feel it.
struct StoreWalk {
    let core: StoreCore
    /// The folder that holds the partitions.
    var top = MailboxFolder.mail
    /// How many levels of folders are below it down to the mailboxes.
    var levels = Self.levelsOfStore
    /// The path of a mailbox behind which to begin, in the order of paths; nil for the first.
    var start: String?

    private static let mailboxesPerPage = 512
    private static let mailboxesPerPause = 16
    private static let pause = timespec(tv_sec: 0, tv_nsec: 2_000_000)

    /// Calls `body` for every folder that may be a mailbox, in the order of their paths, until it says false or the store is
    /// shut down. A folder that cannot be read is told to `failed`.
    func forEachMailbox(
        _ body: (MailboxFolder, OpenFile) throws(MaildirError) -> Bool, failed: (MaildirError) -> Void
    ) throws(MaildirError) {
        let root = core.root.directory
        var visited = 0
        walk(top, depth: levels, in: root, failed) { folder in
            if core.isShutDown.load(ordering: .relaxed) { return false }
            var goesOn = true
            do throws(MaildirError) {
                if let mailbox = try folder.openIfThere(in: root) { goesOn = try body(folder, mailbox) }
            } catch {
                failed(error)
            }
            visited += 1
            if visited % Self.mailboxesPerPause == 0 { Self.rest() }
            return goesOn
        }
        if core.isShutDown.load(ordering: .relaxed) { throw .shutDown }
    }

    /// Partition, domain, mailbox.
    static let levelsOfStore = 3

    /// The first mailboxes, `count` at most, that are to be told. There may be more although it has none: where many are passed
    /// over, it ends before that takes long.
    func page(
        count: Int, where isTold: (OpenFile) throws(MaildirError) -> Bool = { _ in true }
    ) throws(MaildirError) -> MailboxPage {
        var page = MailboxPage()
        var (looked, isAll) = (0, true)
        try forEachMailbox(
            { folder, mailbox throws(MaildirError) in
                guard let key = folder.key else { return true }
                page.last = key
                looked += 1
                isAll = looked < Self.mailboxesPerPage
                if try isTold(mailbox) {
                    page.keys.append(key)
                    isAll = isAll && page.keys.count < count
                }
                return isAll
            }, failed: { page.failure = page.failure ?? $0 })
        if isAll { page.last = nil }
        return page
    }

    /// Visits the folders `depth` levels below `path`; one level's names are in memory at a time. `visit` says whether to go
    /// on.
    @discardableResult
    private func walk(
        _ path: String, depth: Int, in root: OpenFile, _ failed: (MaildirError) -> Void,
        _ visit: (MailboxFolder) -> Bool
    ) -> Bool {
        guard depth > 0 else { return visit(MailboxFolder(path: path)) }
        for name in names(in: path, root, failed).sorted() {
            // Only a partition's folder is ours: lost+found may stand beside it.
            if depth == Self.levelsOfStore, Self.partition(name, core) == nil { continue }
            let child = "\(path)/\(name)"
            if isBeforeStart(child, depth: depth) { continue }
            if !walk(child, depth: depth - 1, in: root, failed, visit) { return false }
        }
        return true
    }

    /// One folder that cannot be read keeps no other from being visited.
    private func names(in path: String, _ root: OpenFile, _ failed: (MaildirError) -> Void) -> [String] {
        do throws(MaildirError) {
            return try Self.folders(in: path, root, core)
        } catch {
            failed(error)
            return []
        }
    }

    /// The partition whose folder is called so; nil if there is none.
    static func partition(_ name: String, _ core: StoreCore) -> Int? {
        guard let number = Int(name), String(number) == name, (0..<core.partitions).contains(number) else { return nil }
        return number
    }

    /// Compares component by component, as the walk goes.
    private func isBeforeStart(_ path: String, depth: Int) -> Bool {
        guard let start else { return false }
        let here = path.split(separator: "/")
        let there = start.split(separator: "/").prefix(here.count)
        if here.lexicographicallyPrecedes(there) { return true }
        return depth == 1 && here.elementsEqual(there)
    }

    /// The folders in a folder; none if it is not there.
    static func folders(in path: String, _ root: OpenFile, _ core: StoreCore) throws(MaildirError) -> [String] {
        var names: [String] = []
        let directory = try core.directory(path, in: root)
        while let entry = try directory?.next() {
            if entry.mayBeDirectory, entry.name.first != UInt8(ascii: "."),
                let name = String(validating: entry.name, as: UTF8.self)
            {
                names.append(name)
            }
        }
        return names
    }

    private static func rest() {
        var time = pause
        nanosleep(&time, nil)
    }
}
