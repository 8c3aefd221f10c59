import FileTimes
import Foundation
import Glibc
import Mail
import Synchronization

@testable import Maildirs

/// A folder with a store in it that lives as long as its test.
final class TestFolder: Sendable {
    let root: String
    private let isOwn: Bool

    /// Whether such folders are on a block device.
    static let isOnDisk: Bool = {
        var status = stat()
        return stat(NSTemporaryDirectory(), &status) == 0 && !ChangeStamp(status).isRemote
    }()

    init() throws {
        isOwn = true
        root = NSTemporaryDirectory() + "maildirs-\(UUID().uuidString)"
        try MaildirStore.initialize(root: root, cluster: "test", node: "a", partitions: 8)
    }

    /// A store on a folder that somebody else made and removes.
    init(existing root: String) throws {
        self.root = root
        isOwn = false
        try MaildirStore.initialize(root: root, cluster: "test", node: "a", partitions: 8)
    }

    deinit {
        if isOwn { try? FileManager.default.removeItem(atPath: root) }
    }

    func store(
        threads: Int = 4, faults: FaultPlan? = nil, margin: Duration? = nil,
        _ adjust: (inout StoreOptions) -> Void = { _ in }
    ) throws -> MaildirStore {
        var options = StoreOptions()
        options.deliveryThreads = threads
        options.readingThreads = 2
        options.faults = faults
        if let margin { options.clockMargin = margin }
        adjust(&options)
        return try MaildirStore(root: root, cluster: "test", node: "a", partitions: 8, options: options)
    }

    func path(_ mailbox: MailboxName, _ part: String) -> String {
        "\(root)/\(MailboxFolder(mailbox, partition: 3).path)/\(part)"
    }

    /// The names in a part of a mailbox, sorted; none if it is not there.
    func names(_ mailbox: MailboxName, _ part: String) -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: path(mailbox, part))) ?? []).sorted()
    }

    func put(_ text: String, in mailbox: MailboxName, _ part: String, named name: String) throws {
        let folder = path(mailbox, part)
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try Data(text.utf8).write(to: URL(fileURLWithPath: "\(folder)/\(name)"))
    }

    /// As if the file had last been touched so long ago.
    func setAge(_ path: String, hours: Int) {
        let then = time(nil) - hours * 3600
        var times = [timeval(tv_sec: then, tv_usec: 0), timeval(tv_sec: then, tv_usec: 0)]
        utimes(path, &times)
    }

    func move(_ mailbox: MailboxName, from: String, to: String) throws {
        let (from, to) = (path(mailbox, from), path(mailbox, to))
        guard rename(from, to) == 0 else { throw CocoaError(.fileWriteUnknown) }
    }

    func text(_ mailbox: MailboxName, _ file: String) throws -> String {
        String(decoding: try Data(contentsOf: URL(fileURLWithPath: path(mailbox, file))), as: UTF8.self)
    }
}

extension MailboxName {
    static let alice = named("alice")
    static let bob = named("bob")

    static func named(_ local: String) -> MailboxName {
        guard let name = MailboxName(local: local, domain: "example.test") else { preconditionFailure(local) }
        return name
    }
}

extension MessageIdentity {
    /// An identity that comes before those with a larger number.
    static func numbered(_ number: Int) -> MessageIdentity {
        MessageIdentity(
            seconds: 1_700_000_000 + Int64(number), micros: 5, process: 1, counter: 1, random: 1, origin: "mx")
    }
}

extension DeliveryRecipient {
    static func to(_ mailbox: MailboxName) -> DeliveryRecipient {
        let header = "Return-Path: <s@example.test>\nDelivered-To: \(mailbox.local)@example.test\n"
        return DeliveryRecipient(mailbox: mailbox, partition: 3, header: Array(header.utf8))
    }
}

typealias Outcome = Result<CommitOutcome, MaildirError>

extension MessageWriter {
    func append(_ text: String) { Array(text.utf8).withUnsafeBytes { append($0) } }

    func commit() async -> [Outcome] {
        await withCheckedContinuation { waiting in commit { waiting.resume(returning: $0) } }
    }

    func flush() async -> MaildirError? {
        await withCheckedContinuation { waiting in flush { waiting.resume(returning: $0) } }
    }
}

extension MaildirStore {
    func deliver(
        _ text: String, _ identity: MessageIdentity, to mailboxes: [MailboxName] = [.alice], mayBeRepeat: Bool = false
    ) async -> [Outcome] {
        let writer = writer(identity: identity, mayBeRepeat: mayBeRepeat, recipients: mailboxes.map { .to($0) })
        writer.append(text)
        return await writer.commit()
    }

    func list(_ mailbox: MailboxName = .alice) async throws -> MaildropSnapshot {
        try await withCheckedContinuation { waiting in
            open(mailbox, partition: 3) { waiting.resume(returning: $0) }
        }.get()
    }

    func reader(_ index: Int, of snapshot: MaildropSnapshot) async throws -> MessageReader? {
        try await withCheckedContinuation { waiting in
            read(index, of: snapshot) { waiting.resume(returning: $0) }
        }.get()
    }

    func text(_ index: Int, of snapshot: MaildropSnapshot) async throws -> String? {
        try await reader(index, of: snapshot)?.text()
    }

    func delete(_ indices: [Int], of snapshot: MaildropSnapshot) async throws -> DeletionOutcome {
        try await withCheckedContinuation { waiting in
            delete(indices, of: snapshot) { waiting.resume(returning: $0) }
        }.get()
    }

    func cleanTmp() async throws -> MaintenanceReport {
        try await withCheckedContinuation { waiting in cleanTmp { waiting.resume(returning: $0) } }.get()
    }

    func expireTombstones(olderThan grace: Duration) async throws -> MaintenanceReport {
        try await withCheckedContinuation { waiting in
            expireTombstones(olderThan: grace) { waiting.resume(returning: $0) }
        }.get()
    }
}

extension MessageReader {
    func text() async throws -> String {
        var bytes: [UInt8] = []
        while true {
            let piece = try await withCheckedContinuation { waiting in read { waiting.resume(returning: $0) } }.get()
            if piece.isEmpty { return String(decoding: bytes, as: UTF8.self) }
            bytes += piece
        }
    }
}

extension MaildropSnapshot {
    var uidls: [String] { (0..<count).map { uidl(at: $0) } }
}

/// Faults that a test turns on and off.
final class FaultSwitch: Sendable {
    private let fault = Mutex<(@Sendable (FaultPlan.Step, String) -> FaultPlan.Fault?)?>(nil)

    var plan: FaultPlan { FaultPlan { step, name in self.fault.withLock { $0 }?(step, name) } }

    func set(_ decide: (@Sendable (FaultPlan.Step, String) -> FaultPlan.Fault?)?) { fault.withLock { $0 = decide } }
}

/// Counts what a fault plan was asked, for tests of how often something is done.
final class StepCounter: Sendable {
    private let counts = Mutex<[FaultPlan.Step: Int]>([:])

    /// Counts, and lets all succeed.
    var plan: FaultPlan {
        FaultPlan { step, _ in
            self.count(step)
            return nil
        }
    }

    func count(_ step: FaultPlan.Step) { counts.withLock { $0[step, default: 0] += 1 } }

    subscript(step: FaultPlan.Step) -> Int { counts.withLock { $0[step] ?? 0 } }
}

/// Counts from 1.
final class Tally: Sendable {
    private let count = Atomic(0)

    func next() -> Int { count.wrappingAdd(1, ordering: .relaxed).newValue }
}
