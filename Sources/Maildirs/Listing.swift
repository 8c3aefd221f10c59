import Glibc
import Mail
import Synchronization

/// Lists a mailbox: `new/` and `cur/`, each message once, without those that are tombstoned.
///
/// A file that is renamed while a directory is read may show in both, or in neither. So the mailbox is read again while
/// it changes, a bounded number of times; if it never rests, all that was seen is listed, and reading tells what is gone.
struct Listing {
    private let core: StoreCore
    private let mailbox: OpenFile
    private var names: [UInt8] = []
    private var found: [Found] = []
    /// Met in the last pass, and left out.
    private var oddNames = 0

    private static let passesMax = 4

    /// A message's name as one pass saw it.
    private struct Found {
        var offset: UInt32
        let nameLength: UInt8
        let stemLength: UInt8
        let isInCur: Bool
        let pass: UInt8
        let micros: Int32
        /// Names without a time come after all others.
        let seconds: Int64
        /// Nil until the file has been read.
        var octets: Int?
    }

    /// The mailbox as it is now, from the cache where that provably matches.
    static func snapshot(
        of key: MailboxKey, heldFor target: HandoffTarget?, core: StoreCore
    ) throws(MaildirError) -> MaildropSnapshot {
        let folder = MailboxFolder(key.mailbox, partition: key.partition, heldFor: target)
        return try core.root.withDirectory { root throws(MaildirError) in
            guard let mailbox = try folder.openIfThere(in: root) else {
                return MaildropSnapshot(key: key, folder: folder)
            }
            let kept = core.listings.find(folder)
            if let kept, kept.isProvable, try kept.stamps == DirectoryStamps(of: mailbox) { return kept.snapshot }
            var listing = Listing(core: core, mailbox: mailbox)
            let fresh = try listing.list(key, folder, tombstones: kept?.tombstones ?? TombstoneIndex())
            core.listings.keep(fresh, for: folder)
            return fresh.snapshot
        }
    }

    /// What the snapshot keeps: each message's name once, and no room to grow. A directory that was read several times
    /// has left every pass's names behind.
    private func compacted() -> ([MaildropSnapshot.Record], [UInt8]) {
        var records: [MaildropSnapshot.Record] = []
        var kept: [UInt8] = []
        records.reserveCapacity(found.count)
        kept.reserveCapacity(found.reduce(0) { $0 + Int($1.nameLength) })
        for message in found {
            guard let octets = message.octets else { continue }
            records.append(
                MaildropSnapshot.Record(
                    offset: UInt32(kept.count), nameLength: message.nameLength, stemLength: message.stemLength,
                    isInCur: message.isInCur, octets: UInt64(octets)))
            let start = Int(message.offset)
            kept.append(contentsOf: names[start..<start + Int(message.nameLength)])
        }
        return (records, kept)
    }

    private init(core: StoreCore, mailbox: OpenFile) {
        self.core = core
        self.mailbox = mailbox
    }

    private mutating func list(
        _ key: MailboxKey, _ folder: MailboxFolder, tombstones known: TombstoneIndex
    ) throws(MaildirError) -> ListingCache.Kept {
        var tombstones = known
        let (stamps, isProvable) = try readUntilSteady(&tombstones)
        core.oddNames.wrappingAdd(oddNames, ordering: .relaxed)
        sortAndUnite()
        try removeTombstoned(tombstones)
        try measureForeign()
        let (records, names) = compacted()
        let snapshot = MaildropSnapshot(
            key: key, folder: folder, records: records, names: names,
            tombstones: tombstones.names(since: FileTime.now().minus(core.options.tombstoneGrace)))
        return ListingCache.Kept(
            snapshot: snapshot, stamps: stamps, isProvable: isProvable, tombstones: tombstones)
    }

    /// Removes the files that a crash left behind their tombstones.
    static func removeDeleted(from mailbox: OpenFile, core: StoreCore) throws(MaildirError) {
        var listing = Listing(core: core, mailbox: mailbox)
        var tombstones = TombstoneIndex()
        _ = try listing.readUntilSteady(&tombstones)
        try listing.removeTombstoned(tombstones)
    }

    // MARK: - reading the directories

    private mutating func readUntilSteady(
        _ tombstones: inout TombstoneIndex
    ) throws(MaildirError) -> (DirectoryStamps, isProvable: Bool) {
        var last: (stamps: DirectoryStamps, sum: UInt64)?
        for pass in 1...Self.passesMax {
            let start = FileTime.now()
            let before = try DirectoryStamps(of: mailbox)
            // Tombstones last: what is deleted meanwhile is left out rather than shown.
            let (firstName, firstFound) = (names.count, found.count)
            oddNames = 0
            let sum = try read("new", isInCur: false, pass) &+ read("cur", isInCur: true, pass)
            try tombstones.update(from: mailbox)
            let isUnchanged = try DirectoryStamps(of: mailbox) == before
            let isSettled = before.areSettled(at: start, margin: core.options.clockMargin)
            if isUnchanged && (isSettled || (last?.stamps == before && last?.sum == sum)) {
                keepOnlyLastPass(from: firstName, firstFound)
                return (before, isSettled)
            }
            last = (before, sum)
        }
        return (try DirectoryStamps(of: mailbox), false)
    }

    /// A sum over the names that does not depend on their order.
    private mutating func read(_ part: String, isInCur: Bool, _ pass: Int) throws(MaildirError) -> UInt64 {
        let directory = try ifThere { () throws(MaildirError) in try OpenDirectory(part, in: mailbox) }
        var sum: UInt64 = isInCur ? 1 : 0
        while let entry = try directory?.next() {
            guard entry.mayBeFile, let parsed = MessageNameBytes(entry.name) else { continue }
            guard MessageNameBytes.isPlain(entry.name), let offset = UInt32(exactly: names.count),
                let nameLength = UInt8(exactly: entry.name.count)
            else {
                oddNames += 1
                continue
            }
            names.append(contentsOf: entry.name)
            found.append(
                Found(
                    offset: offset, nameLength: nameLength, stemLength: UInt8(parsed.stemLength), isInCur: isInCur,
                    pass: UInt8(pass), micros: parsed.micros, seconds: parsed.seconds ?? .max,
                    octets: parsed.wireOctets))
            var hasher = Hasher()
            hasher.combine(bytes: entry.name)
            sum &+= UInt64(bitPattern: Int64(hasher.finalize()))
        }
        return sum
    }

    private mutating func keepOnlyLastPass(from firstName: Int, _ firstFound: Int) {
        guard firstFound > 0 else { return }
        found.removeFirst(firstFound)
        names.removeFirst(firstName)
        let shift = UInt32(firstName)
        for index in found.indices { found[index].offset -= shift }
    }

    // MARK: - one entry a message

    private mutating func sortAndUnite() {
        names.withUnsafeBytes { names in
            found.sort { Self.isBefore($0, $1, names) }
            var kept: [Found] = []
            kept.reserveCapacity(found.count)
            for next in found {
                if let last = kept.last, Self.compareStems(last, next, names) == 0 { kept.removeLast() }
                kept.append(next)
            }
            found = kept
        }
    }

    /// By time, then stem; of one message's names the one that was seen last comes last, `cur/` after `new/`.
    private static func isBefore(_ left: Found, _ right: Found, _ names: UnsafeRawBufferPointer) -> Bool {
        if left.seconds != right.seconds { return left.seconds < right.seconds }
        if left.micros != right.micros { return left.micros < right.micros }
        let stems = compareStems(left, right, names)
        if stems != 0 { return stems < 0 }
        if left.pass != right.pass { return left.pass < right.pass }
        return !left.isInCur && right.isInCur
    }

    private static func compareStems(_ left: Found, _ right: Found, _ names: UnsafeRawBufferPointer) -> Int {
        guard let base = names.baseAddress else { return 0 }
        let common = min(left.stemLength, right.stemLength)
        let order = memcmp(base + Int(left.offset), base + Int(right.offset), Int(common))
        return order != 0 ? Int(order) : Int(left.stemLength) - Int(right.stemLength)
    }

    // MARK: - what is deleted

    private mutating func removeTombstoned(_ tombstones: TombstoneIndex) throws(MaildirError) {
        if tombstones.isEmpty { return }
        let hinted = names.withUnsafeBytes { names in
            found.indices.filter { tombstones.mayContain(identityOf: Self.stem(found[$0], names)) }
        }
        if hinted.isEmpty { return }
        let exact = try Tombstones.exact(in: mailbox)
        for index in hinted.reversed() where exact.contains(stem(found[index]).withUnsafeBytes(StemIdentity.bytes)) {
            // Left by a crash between tombstone and unlink, or delivered again. If it cannot be removed, it is hidden.
            try withPath(path(found[index])) { path in _ = unlinkat(mailbox.descriptor, path, 0) }
            found.remove(at: index)
        }
    }

    private static func stem(_ one: Found, _ names: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        let start = Int(one.offset)
        return UnsafeRawBufferPointer(rebasing: names[start..<start + Int(one.stemLength)])
    }

    private func stem(_ one: Found) -> [UInt8] { Array(names[Int(one.offset)...].prefix(Int(one.stemLength))) }

    private func path(_ one: Found) -> [UInt8] {
        Array((one.isInCur ? "cur/" : "new/").utf8) + names[Int(one.offset)...].prefix(Int(one.nameLength))
    }

    // MARK: - sizes of foreign messages

    private mutating func measureForeign() throws(MaildirError) {
        for index in found.indices where found[index].octets == nil {
            let one = found[index]
            found[index].octets = try ForeignMessage(mailbox: mailbox, stem: stem(one), path: path(one)).octets(core)
        }
    }
}
