import FileTimes
import Glibc

/// Goes over the files of `new/` and `cur/` by what each message is called everywhere, for operations that name many
/// messages: each pass reads both directories once, however many are named.
struct MailboxScan {
    let mailbox: OpenFile
    let core: StoreCore

    private static let passesMax = 4

    /// Calls `body` with the identity, the part and the name of every file; they are valid during the call.
    func forEachFile(
        _ body: (_ identity: UnsafeRawBufferPointer, _ part: String, _ name: UnsafeRawBufferPointer) -> Void
    ) throws(MaildirError) {
        for part in ["new", "cur"] {
            let directory = try core.directory(part, in: mailbox)
            while let entry = try directory?.next() {
                let stem = UnsafeRawBufferPointer(rebasing: entry.name[..<MessageNameBytes.stemLength(of: entry.name)])
                guard entry.mayBeFile, !stem.isEmpty, stem[0] != UInt8(ascii: ".") else { continue }
                StemIdentity.withBytes(of: stem) { body($0, part, entry.name) }
            }
        }
    }

    /// Where the messages are, below the mailbox's folder. A file may move while one directory was read and not yet the
    /// other: only the second miss is final, unless nothing can have moved.
    func paths(of identities: Set<[UInt8]>) throws(MaildirError) -> [[UInt8]: [UInt8]] {
        var found: [[UInt8]: [UInt8]] = [:]
        for _ in 0..<2 {
            let start = FileTime.coarse()
            let before = try core.stamps(of: mailbox)
            try forEachFile { identity, part, name in
                let identity = Array(identity)
                if identities.contains(identity) { found[identity] = Array("\(part)/".utf8) + name }
            }
            if found.count == identities.count { break }
            if !before.isRemote, before.areSettled(at: start, margin: core.options.clockMargin),
                try core.stamps(of: mailbox) == before
            {
                break
            }
        }
        return found
    }

    /// Removes all files of what is deleted, wherever they are now. How many messages still have one that cannot be removed.
    ///
    /// - Parameter removed: called for each file that went.
    func remove(_ deleted: DeletedMessages, removed: () -> Void = {}) throws(MaildirError) -> Int {
        var failed: Set<[UInt8]> = []
        for _ in 0..<Self.passesMax {
            let before = try core.stamps(of: mailbox)
            failed = []
            try forEachFile { identity, part, name in
                guard deleted.contains(identity, name: name) else { return }
                let number = core.unlink(Array("\(part)/".utf8) + name, in: mailbox)
                if number == 0 { removed() }
                if number != 0, number != ENOENT { failed.insert(Array(identity)) }
            }
            if try core.stamps(of: mailbox) == before { break }
        }
        return failed.count
    }
}
