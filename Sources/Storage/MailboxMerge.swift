import Cluster
import Hops
import Logging
import Mail
import Maildirs
import Membership

/// Carries out the merge of one mailbox with another node's copy.
struct MailboxMerge {
    let key: MailboxKey
    let peer: Peer
    let scope: Merge.Scope
    let replicator: Replicator
    /// What counts and slows down the messages that go to the other node; nil where a reader waits.
    var transfer: Transfer?

    /// What came of it.
    enum Result: Sendable {
        /// What this node held before, and what was carried.
        case done(MaildropSnapshot, Merge)
        /// The other node does not answer.
        case silent
        /// This node's own copy cannot be read.
        case failed
    }

    /// Steps that are under way at the same time.
    private static let stepsMax = 8

    /// What both sides hold, and how to get at it.
    private struct Sides: Sendable {
        let snapshot: MaildropSnapshot
        let indices: [String: Int]
        let remote: RemoteReplica
        let numbers: [String: Int]

        /// The same with the other node's copy opened anew.
        func overNewConnection(_ remote: RemoteReplica) async throws(PeerError) -> Sides {
            do throws(PeerError) {
                let numbers = try await remote.contents().numbers
                return Sides(snapshot: snapshot, indices: indices, remote: remote, numbers: numbers)
            } catch {
                remote.quit()
                throw error
            }
        }
    }

    private enum Outcome: Sendable {
        case tombstone(Merge.Step, deletes: [String])
        case message(Merge.Step)
        /// The connection was over before the message was here.
        case interrupted(Merge.Step)
        case failed(Merge.Step, String)
    }

    func run() async -> Result {
        let remote = peer.replica(of: key.mailbox)
        defer { remote.quit() }
        var log = replicator.log
        log[metadataKey: "mailbox"] = "\(key.mailbox)"
        log[metadataKey: "node"] = "\(peer.name)"
        do {
            let (theirs, numbers) = try await remote.contents()
            let snapshot = try await replicator.store.snapshot(of: key)
            var indices: [String: Int] = [:]
            for index in 0..<snapshot.count { indices[snapshot.uidl(at: index)] = index }
            let ours = ReplicaContents(messages: Set(indices.keys), tombstones: Set(snapshot.tombstoneNames))
            let sides = Sides(snapshot: snapshot, indices: indices, remote: remote, numbers: numbers)
            let merge = await carryOut(Merge(here: ours, there: theirs, scope: scope), sides, log)
            replicator.metrics.merged(merge)
            log.info(
                "merged",
                metadata: [
                    "messages": "\(merge.messagesCarried)", "tombstones": "\(merge.tombstonesCarried)",
                    "failures": "\(merge.failures)",
                ])
            return .done(snapshot, merge)
        } catch {
            log.warning("not merged", metadata: ["reason": "\(error)"])
            return error is PeerError ? .silent : .failed
        }
    }

    private func carryOut(_ merge: Merge, _ sides: Sides, _ log: Logger) async -> Merge {
        var merge = merge
        var interrupted: [Merge.Step] = []
        await withTaskGroup(of: Outcome.self) { group in
            var steps = merge.start()[...]
            var running = 0
            while true {
                while running < Self.stepsMax, let step = steps.popFirst() {
                    group.addTask { await self.carry(step, sides) }
                    running += 1
                }
                guard let outcome = await group.next() else { break }
                running -= 1
                switch outcome {
                case .tombstone(let step, let identities):
                    steps += merge.tombstoneCarried(step, deletes: identities)
                case .message(let step):
                    merge.messageCarried(step)
                case .interrupted(let step):
                    interrupted.append(step)
                case .failed(let step, let why):
                    steps += fail(step, why, &merge, log)
                }
            }
        }
        await bringOneByOne(interrupted, sides, &merge, log)
        return merge
    }

    /// Brings what was interrupted. A message that the other node cannot read to its end ends the connection, under others too:
    /// one at a time, each over a new connection where the last one broke, only that message stays behind.
    private func bringOneByOne(_ steps: [Merge.Step], _ sides: Sides, _ merge: inout Merge, _ log: Logger) async {
        var current: Sides?
        for (index, step) in steps.enumerated() {
            do throws(PeerError) {
                if current == nil { current = try await sides.overNewConnection(peer.replica(of: key.mailbox)) }
            } catch {
                for left in steps[index...] { fail(left, "\(error)", &merge, log) }
                return
            }
            guard let sides = current else { return }
            switch await carry(step, sides) {
            case .failed(_, let why):
                fail(step, why, &merge, log)
            case .interrupted:
                fail(step, "it cannot be read there", &merge, log)
                sides.remote.quit()
                current = nil
            case .message, .tombstone:
                merge.messageCarried(step)
            }
        }
        current?.remote.quit()
    }

    /// The steps that are to be done now because of that.
    @discardableResult
    private func fail(_ step: Merge.Step, _ why: String, _ merge: inout Merge, _ log: Logger) -> [Merge.Step] {
        log.warning("not carried", metadata: ["name": "\(step.name)", "reason": "\(why)"])
        return merge.failed(step)
    }

    private func carry(_ step: Merge.Step, _ sides: Sides) async -> Outcome {
        guard let name = MessageIdentity(step.name) else { return .failed(step, "no name for a message") }
        do {
            switch step {
            case .tombstone(_, .here): return .tombstone(step, deletes: try await bringTombstone(name, sides))
            case .tombstone(_, .there): return .tombstone(step, deletes: try await sendTombstone(name, sides))
            case .message(_, .here): try await bringMessage(name, sides)
            case .message(_, .there): try await sendMessage(name, sides)
            }
            return .message(step)
        } catch PeerError.unreachable where step.isMessageHere {
            return .interrupted(step)
        } catch {
            return .failed(step, "\(error)")
        }
    }

    private struct NotTaken: Error, CustomStringConvertible {
        let description: String
    }

    private func bringTombstone(_ name: MessageIdentity, _ sides: Sides) async throws -> [String] {
        guard let tombstone = try await sides.remote.tombstone(name) else { return [] }
        try await replicator.store.take(tombstone, for: key)
        return tombstone.identities
    }

    private func sendTombstone(_ name: MessageIdentity, _ sides: Sides) async throws -> [String] {
        guard let tombstone = try await replicator.store.tombstone(name, in: sides.snapshot) else { return [] }
        try check(await peer.carry(.tombstone(tombstone), of: key.mailbox))
        return tombstone.identities
    }

    private func bringMessage(_ name: MessageIdentity, _ sides: Sides) async throws {
        guard let number = sides.numbers[name.text] else { return }
        let recipient = DeliveryRecipient(mailbox: key.mailbox, partition: key.partition, header: [])
        let writer = try await sides.remote.bring(number, named: name, to: recipient, in: replicator.store)
        _ = try await writer?.commitOne().get()
    }

    private func sendMessage(_ name: MessageIdentity, _ sides: Sides) async throws {
        guard let index = sides.indices[name.text],
            let reader = try await replicator.store.reader(of: index, in: sides.snapshot)
        else { return }
        defer { reader.close() }
        await transfer?.admit(reader.size)
        try check(await peer.carry(.message(name, reader), of: key.mailbox))
    }

    private func check(_ verdict: Verdict) throws {
        switch verdict {
        case .accepted: return
        case .deferred(let reason), .refused(let reason): throw NotTaken(description: "\(reason)")
        }
    }
}
