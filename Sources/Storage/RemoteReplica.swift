import Cluster
import Hops
import Mail
import Maildirs
import NIOCore
import POP3
import Wire

/// Another node's copy of one mailbox, read by async code: its contents, its tombstones, its messages.
final class RemoteReplica: Sendable {
    private let loop: any EventLoop
    private let maildrop: NIOLoopBoundBox<RemoteMaildrop?>
    private let mailbox: MailboxName

    /// Connects on `loop`.
    init(mailbox: MailboxName, timeout: Duration, on loop: any EventLoop, target: DialTarget) {
        self.mailbox = mailbox
        self.loop = loop
        maildrop = RemoteMaildrop.connected(to: target, timeout: timeout, on: loop)
    }

    /// What it holds, and the number of each message.
    func contents() async throws(PeerError) -> (contents: ReplicaContents, numbers: [String: Int]) {
        _ = try await ask(.xopenLocal(mailbox))
        let names = try await ask(.uidl)
        let tombstones = try await ask(.xgone)
        var numbers: [String: Int] = [:]
        for line in names {
            let words = String(decoding: line, as: UTF8.self).split(separator: " ")
            guard words.count == 2, let number = Int(words[0]) else { throw .unreachable("no UIDL listing") }
            numbers[String(words[1])] = number
        }
        let contents = ReplicaContents(
            messages: Set(numbers.keys), tombstones: Set(tombstones.map { String(decoding: $0, as: UTF8.self) }))
        return (contents, numbers)
    }

    /// Nil if it has expired there meanwhile.
    func tombstone(_ name: MessageIdentity) async throws(PeerError) -> Tombstone? {
        do throws(PeerError) {
            let lines = try await ask(.xgoneOne(name))
            return Tombstone(name: name, lines: lines.flatMap { $0 + [UInt8(ascii: "\n")] })
        } catch {
            if case .refused(_, code: nil) = error { return nil }
            throw error
        }
    }

    /// Reads a message into a writer, which the caller commits. False if it is gone there; refused with `.systemPermanent` if the
    /// copy there is damaged, unless it is so large that the connection has to break.
    func read(_ number: Int, into writer: MessageWriter) async throws(PeerError) -> Bool {
        let result: Result<Void, PeerError> = await withCheckedContinuation { done in
            loop.execute { [maildrop, loop] in
                maildrop.value?.read(number) { piece, wait in
                    writer.append(piece)
                    guard writer.wantsFlush else { return }
                    wait { goOn in
                        let back = NIOLoopBound(goOn, eventLoop: loop)
                        // A failure is told by the commit.
                        writer.flush { _ in loop.execute { back.value() } }
                    }
                } then: {
                    done.resume(returning: $0)
                }
            }
        }
        if case .failure(.refused(_, code: nil)) = result { return false }
        try result.get()
        return true
    }

    /// Brings a message to a store, where the caller commits it, as it has it for that recipient. Nil if it is gone there; fails as
    /// `read` does.
    func bring(
        _ number: Int, named name: MessageIdentity, to recipient: DeliveryRecipient, in store: MaildirStore
    ) async throws(PeerError) -> MessageWriter? {
        let writer = store.writer(identity: name, mayBeRepeat: true, recipients: [recipient])
        do throws(PeerError) {
            if try await read(number, into: writer) { return writer }
        } catch {
            writer.discard()
            throw error
        }
        writer.discard()
        return nil
    }

    func quit() {
        loop.execute { [maildrop] in maildrop.value?.quit() }
    }

    private func ask(_ command: POP3ClientCommand) async throws(PeerError) -> [[UInt8]] {
        try await maildrop.ask(command, on: loop)
    }
}

/// Another node's partition, as it lists it.
final class RemotePartition: Sendable {
    private let loop: any EventLoop
    private let maildrop: NIOLoopBoundBox<RemoteMaildrop?>

    /// Connects on `loop`.
    init(timeout: Duration, on loop: any EventLoop, target: DialTarget) {
        self.loop = loop
        maildrop = RemoteMaildrop.connected(to: target, timeout: timeout, on: loop)
    }

    /// Nil if together they come to `digest`.
    func mailboxes(
        _ partition: Int, unless digest: PartitionDigest
    ) async throws(PeerError) -> [MailboxName: MailboxDigest]? {
        let lines = try await maildrop.ask(.xpartition(partition, unless: digest.description), on: loop)
        guard !lines.isEmpty else { return nil }
        var mailboxes: [MailboxName: MailboxDigest] = [:]
        for line in lines {
            guard let entry = PartitionListing.parse(line), let digest = MailboxDigest(entry.digest) else {
                throw .unreachable("no listing of a partition")
            }
            mailboxes[entry.mailbox] = digest
        }
        return mailboxes
    }

    func quit() {
        loop.execute { [maildrop] in maildrop.value?.quit() }
    }
}

extension RemoteMaildrop {
    fileprivate static func connected(
        to target: DialTarget, timeout: Duration, on loop: any EventLoop
    ) -> NIOLoopBoundBox<RemoteMaildrop?> {
        let maildrop = NIOLoopBoundBox.makeEmptyBox(valueType: RemoteMaildrop.self, eventLoop: loop)
        loop.execute {
            let fresh = RemoteMaildrop(timeout: timeout)
            maildrop.value = fresh
            fresh.connect(target, on: loop)
        }
        return maildrop
    }
}

extension NIOLoopBoundBox<RemoteMaildrop?> {
    fileprivate func ask(
        _ command: POP3ClientCommand, on loop: any EventLoop
    ) async throws(PeerError) -> [[UInt8]] {
        let result: Result<[[UInt8]], PeerError> = await withCheckedContinuation { asked in
            loop.execute { self.value?.ask(command) { asked.resume(returning: $0) } }
        }
        return try result.get()
    }
}
