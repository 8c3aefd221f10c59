import Cluster
import FileTimes
import Glibc
import Mail
import Synchronization

/// Lists a mailbox: `new/` and `cur/`, each message once, without those that are tombstoned; those that are hidden are told
/// apart.
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
    /// Every message that was seen has its size, so that the listing can be proven.
    private var isComplete = true
    /// Foreign messages, by their places in `found`.
    private var measured: [Int: (FileStamp, isYoung: Bool)] = [:]

    private static let passesMax = 4

    /// A message's name as one pass saw it.
    private struct Found {
        var offset: UInt32
        /// Where the identity stands: the stem itself, or behind the name of a foreign message whose stem is none.
        var identityOffset: UInt32
        let nameLength: UInt8
        let stemLength: UInt8
        let identityLength: UInt8
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
        of key: MailboxKey, heldFor target: SpoolTarget?, core: StoreCore
    ) throws(MaildirError) -> MaildropSnapshot {
        let folder = MailboxFolder(key.mailbox, partition: key.partition, heldFor: target)
        return try core.root.withDirectory { root throws(MaildirError) in
            guard let mailbox = try folder.openIfThere(in: root) else {
                return MaildropSnapshot(key: key, folder: folder)
            }
            let kept = core.listings.find(folder)
            if let kept, try kept.matches(mailbox, core) { return kept.snapshot }
            var listing = Listing(core: core, mailbox: mailbox)
            let fresh = try listing.list(key, folder, kept)
            core.listings.keep(fresh, for: folder)
            return fresh.snapshot
        }
    }

    /// What the snapshot keeps: each message's name once, and no room to grow. A directory that was read several times
    /// has left every pass's names behind.
    private func compacted() -> Compacted {
        var records: [MaildropSnapshot.Record] = []
        var kept: [UInt8] = []
        var files: [MeasuredFile] = []
        var repeats = Repeats(window: core.options.resendWindow)
        records.reserveCapacity(found.count)
        files.reserveCapacity(measured.count)
        for (index, message) in found.enumerated() {
            guard let octets = message.octets else { continue }
            if let (stamp, isYoung) = measured[index] {
                files.append(MeasuredFile(index: records.count, stamp: stamp, isYoung: isYoung))
            }
            let start = kept.count
            let name = names[Int(message.offset)...].prefix(Int(message.nameLength))
            let form = name.withUnsafeBytes { name in
                repeats.add(name, at: UInt32(records.count))
                return PackedName.append(name, stemLength: Int(message.stemLength), to: &kept)
            }
            records.append(
                MaildropSnapshot.Record(
                    offset: UInt32(start), nameLength: UInt8(kept.count - start), stemLength: message.stemLength,
                    isInCur: message.isInCur, form: form, octets: UInt64(octets)))
        }
        // Without room to grow.
        kept = kept.withUnsafeBufferPointer { Array($0) }
        let hidden = repeats.hidden { MaildropSnapshot.name(of: records[Int($0)], in: kept) }
        return Compacted(records: records, names: kept, files: files, hidden: hidden)
    }

    private struct Compacted {
        let records: [MaildropSnapshot.Record]
        let names: [UInt8]
        let files: [MeasuredFile]
        let hidden: [MaildropSnapshot.Hidden]
    }

    private init(core: StoreCore, mailbox: OpenFile) {
        self.core = core
        self.mailbox = mailbox
    }

    private mutating func list(
        _ key: MailboxKey, _ folder: MailboxFolder, _ kept: ListingCache.Kept?
    ) throws(MaildirError) -> ListingCache.Kept {
        var tombstones = kept?.tombstones ?? TombstoneIndex()
        let reading = try readUntilSteady(&tombstones, kept?.seen)
        sortAndUnite()
        try removeTombstoned(tombstones, folder)
        try measureForeign(KnownSizes(kept))
        core.oddNames.wrappingAdd(oddNames, ordering: .relaxed)
        let compacted = compacted()
        // What waits for a site was never heard there, however long ago it was said.
        let oldest = folder.isOfSite ? .min : core.forgets(before: FileTime.now().minus(core.options.tombstoneAge))
        let snapshot = MaildropSnapshot(
            key: key, folder: folder, records: compacted.records, names: compacted.names, hidden: compacted.hidden,
            tombstones: tombstones.names(since: oldest))
        return ListingCache.Kept(
            snapshot: snapshot, seen: reading.seen, isProvable: reading.isSettled && isComplete, tombstones: tombstones,
            measured: compacted.files)
    }

    // MARK: - reading the directories

    private struct Reading {
        let seen: SeenStamps
        /// Whatever changes from now on will show in the stamps.
        let isSettled: Bool
    }

    private mutating func readUntilSteady(
        _ tombstones: inout TombstoneIndex, _ known: SeenStamps?
    ) throws(MaildirError) -> Reading {
        var last: (stamps: DirectoryStamps, sum: UInt64)?
        var seen = known
        for pass in 1...Self.passesMax {
            let (coarse, monotonic) = (FileTime.coarse(), MonotonicTime.now())
            let before = try core.stamps(of: mailbox)
            let now = seen?.stamps == before ? seen : nil
            let since = now ?? SeenStamps(stamps: before, since: MonotonicTime.now())
            seen = since
            // Tombstones last: what is deleted meanwhile is left out rather than shown.
            let (firstName, firstFound) = (names.count, found.count)
            oddNames = 0
            let sum = try read("new", isInCur: false, pass) &+ read("cur", isInCur: true, pass)
            try tombstones.update(from: mailbox, core)
            let isUnchanged = try core.stamps(of: mailbox) == before
            let isSettled =
                before.isRemote
                ? monotonic - since.since >= core.options.remoteMargin
                : before.areSettled(at: coarse, margin: core.options.clockMargin)
            if isUnchanged && (isSettled || (last?.stamps == before && last?.sum == sum)) {
                keepOnlyLastPass(from: firstName, firstFound)
                return Reading(seen: since, isSettled: isSettled)
            }
            last = (before, sum)
        }
        let stamps = try core.stamps(of: mailbox)
        return Reading(seen: SeenStamps(stamps: stamps, since: MonotonicTime.now()), isSettled: false)
    }

    /// A sum over the names that does not depend on their order.
    private mutating func read(_ part: String, isInCur: Bool, _ pass: Int) throws(MaildirError) -> UInt64 {
        let directory = try core.directory(part, in: mailbox)
        var sum: UInt64 = isInCur ? 1 : 0
        while let entry = try directory?.next() {
            guard entry.mayBeFile, let parsed = MessageNameBytes(entry.name) else { continue }
            guard MessageNameBytes.isPlain(entry.name), let offset = UInt32(exactly: names.count + 512),
                let nameLength = UInt8(exactly: entry.name.count)
            else {
                oddNames += 1
                continue
            }
            add(entry.name, parsed, offset - 512, nameLength, isInCur: isInCur, pass)
            var hasher = Hasher()
            hasher.combine(bytes: entry.name)
            sum &+= UInt64(bitPattern: Int64(hasher.finalize()))
        }
        return sum
    }

    /// A foreign stem that is no identity comes last everywhere, because copies have only its hash.
    private mutating func add(
        _ name: UnsafeRawBufferPointer, _ parsed: MessageNameBytes, _ offset: UInt32, _ nameLength: UInt8,
        isInCur: Bool, _ pass: Int
    ) {
        let stem = UnsafeRawBufferPointer(rebasing: name[..<parsed.stemLength])
        let isIdentity = StemIdentity.isIdentity(stem)
        names.append(contentsOf: name)
        let end = names.count
        if !isIdentity { StemIdentity.append(stem, to: &names) }
        found.append(
            Found(
                offset: offset, identityOffset: isIdentity ? offset : UInt32(end), nameLength: nameLength,
                stemLength: UInt8(parsed.stemLength),
                identityLength: UInt8(isIdentity ? parsed.stemLength : names.count - end), isInCur: isInCur,
                pass: UInt8(pass), micros: isIdentity ? parsed.micros : 0,
                seconds: isIdentity ? parsed.seconds ?? .max : .max, octets: parsed.wireOctets))
    }

    private mutating func keepOnlyLastPass(from firstName: Int, _ firstFound: Int) {
        guard firstFound > 0 else { return }
        found.removeFirst(firstFound)
        names.removeFirst(firstName)
        let shift = UInt32(firstName)
        for index in found.indices {
            found[index].offset -= shift
            found[index].identityOffset -= shift
        }
    }

    // MARK: - one entry a message

    private mutating func sortAndUnite() {
        names.withUnsafeBytes { names in
            found.sort { Self.isBefore($0, $1, names) }
            var kept: [Found] = []
            kept.reserveCapacity(found.count)
            for next in found {
                if let last = kept.last, Self.compareIdentities(last, next, names) == 0 { kept.removeLast() }
                kept.append(next)
            }
            found = kept
        }
    }

    /// By time, then identity; of one message's names the one that was seen last comes last, `cur/` after `new/`, and of
    /// two that are equal in that the greater one, so that every replica chooses the same.
    private static func isBefore(_ left: Found, _ right: Found, _ names: UnsafeRawBufferPointer) -> Bool {
        if left.seconds != right.seconds { return left.seconds < right.seconds }
        if left.micros != right.micros { return left.micros < right.micros }
        let order = compareIdentities(left, right, names)
        if order != 0 { return order < 0 }
        if left.pass != right.pass { return left.pass < right.pass }
        if left.isInCur != right.isInCur { return right.isInCur }
        return compare(left.offset, left.nameLength, right.offset, right.nameLength, names) < 0
    }

    private static func compareIdentities(_ left: Found, _ right: Found, _ names: UnsafeRawBufferPointer) -> Int {
        compare(left.identityOffset, left.identityLength, right.identityOffset, right.identityLength, names)
    }

    private static func compare(
        _ left: UInt32, _ leftLength: UInt8, _ right: UInt32, _ rightLength: UInt8, _ names: UnsafeRawBufferPointer
    ) -> Int {
        guard let base = names.baseAddress else { return 0 }
        let order = memcmp(base + Int(left), base + Int(right), Int(min(leftLength, rightLength)))
        return order != 0 ? Int(order) : Int(leftLength) - Int(rightLength)
    }

    // MARK: - what is deleted

    private mutating func removeTombstoned(
        _ tombstones: TombstoneIndex, _ folder: MailboxFolder
    ) throws(MaildirError) {
        if tombstones.isEmpty { return }
        var hinted: Set<NamedMessage> = []
        for one in found {
            let content = core.options.resendWindow.isOff ? nil : content(one)
            let isHinted = content.map { tombstones.mayContain($0.digest) } ?? false
            guard isHinted || tombstones.mayContain(identity(one)) else { continue }
            hinted.insert(NamedMessage(identity: Array(identity(one)), content: content))
        }
        if hinted.isEmpty { return }
        let exact = try Tombstones.find(Array(hinted), in: mailbox, by: tombstones, core)
        if exact.isEmpty { return }
        // A tombstone that a loss of power may undo hides, and removes nothing.
        let isDurable = isGoneDurable()
        found = found.filter { one in
            guard exact.contains(Array(identity(one))) else { return true }
            // Left by a crash between tombstone and unlink, or delivered again. If it cannot be removed, it is hidden.
            if isDurable, core.unlink(path(one), in: mailbox) == 0 { core.gauges.changed(folder, by: -1) }
            return false
        }
    }

    private func isGoneDurable() -> Bool {
        do throws(MaildirError) {
            try core.options.faults?.check(.syncDirectory, "gone")
            try OpenFile.openDirectory("gone", in: mailbox.descriptor).sync("gone")
            return true
        } catch {
            return false
        }
    }

    private func identity(_ one: Found) -> ArraySlice<UInt8> {
        names[Int(one.identityOffset)...].prefix(Int(one.identityLength))
    }

    private func content(_ one: Found) -> MessageContent? {
        names[Int(one.offset)...].prefix(Int(one.nameLength)).withUnsafeBytes(MessageNameBytes.content)
    }

    private func path(_ one: Found) -> [UInt8] {
        Array((one.isInCur ? "cur/" : "new/").utf8) + names[Int(one.offset)...].prefix(Int(one.nameLength))
    }

    // MARK: - sizes of foreign messages

    private mutating func measureForeign(_ known: KnownSizes) throws(MaildirError) {
        let moved = MovedMessages()
        for index in found.indices where found[index].octets == nil {
            let identity = Array(identity(found[index]))
            let message = ForeignMessage(mailbox: mailbox, identity: identity, path: path(found[index]), core: core)
            switch try message.size(moved: moved, known: { known.octets(of: identity, $0) }) {
            case .measured(let octets, let stamp, let isYoung):
                found[index].octets = octets
                measured[index] = (stamp, isYoung)
            case .guessed(let octets):
                found[index].octets = octets
                isComplete = false
            case .none:
                oddNames += 1
                isComplete = false
            case .gone:
                isComplete = false
            }
        }
    }
}
