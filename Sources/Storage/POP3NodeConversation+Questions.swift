import Cluster
import Hops
import Logging
import Mail
import Maildirs
import Membership
import POP3
import Wire

/// What other nodes, frontends and commands ask of a node as a whole.
extension POP3NodeConversation {
    func digest(_ mailbox: MailboxName, _ connection: Connection) {
        perform(connection) { [replicator = node.replicator] () -> Result<(String, Int), MaildirError> in
            do throws(MaildirError) {
                let digest = try await replicator.store.snapshot(of: replicator.key(of: mailbox)).digest
                let held = try await HandoffDrain(replicator: replicator).heldCount(in: mailbox)
                return .success((digest.description, held))
            } catch {
                return .failure(error)
            }
        } then: { [self] result in
            switch result {
            case .success((let digest, let held)): session.digested(digest, held: held)
            case .failure(let error):
                log.error("maildrop cannot be digested", metadata: ["error": "\(error)"])
                session.replicaFailed("the mailbox cannot be read now")
            }
        }
    }

    func drain(_ mailbox: MailboxName, to asker: String, _ connection: Connection) {
        let peers = node.replicator.peers
        guard let asking = peers.map.ring.index(of: asker), asker != node.name else {
            return session.replicaFailed("no other storage node of the ring is called so")
        }
        perform(connection) { [replicator = node.replicator] in
            await HandoffDrain(replicator: replicator).drain(mailbox, to: peers.peer(asking))
        } then: { [self] count in
            if let count { session.drained(count) } else { session.replicaFailed("not all of it was taken") }
        }
    }

    func noteRelayed(_ position: Int, _ refusal: String?, _ connection: Connection) {
        guard let maildrop, let queue = RelayQueue(maildrop.snapshot.mailbox) else {
            return session.replicaFailed("this mailbox is no queue")
        }
        let uidl = maildrop.uidl(at: position)
        perform(connection) { [node] in
            await node.settle(uidl, of: queue, refusal.map { Verdict.refused(Reason(reply: $0)) } ?? .accepted)
        } then: { [self] isKnown in
            if isKnown { session.relayed() } else { session.replicaFailed("there is no such relay") }
        }
    }

    func flush(_ relay: String, _ connection: Connection) {
        perform(connection) { [node] in
            await node.flush(relay: relay)
        } then: { [self] count in
            if let count { session.flushed(count) } else { session.replicaFailed("there is no such relay") }
        }
    }

    func status(_ connection: Connection) {
        perform(connection) { [node] in
            await node.status()
        } then: { [self] status in
            session.statusTold(status.text)
        }
    }

    func status(ofSite site: String, _ connection: Connection) {
        perform(connection) { [node] in
            await node.status(ofSite: site)
        } then: { [self] status in
            if let status {
                session.statusTold(status.text)
            } else {
                session.replicaFailed("no mail goes to that site")
            }
        }
    }

    func carryOut(_ order: SiteOrder, ofSite site: String, _ connection: Connection) {
        perform(connection) { [node] in
            await node.carryOut(order, ofSite: site)
        } then: { [self] outcome in
            switch outcome {
            case .success(let words): session.siteOrdered(words)
            case .failure(let refusal): session.replicaFailed(refusal.description)
            }
        }
    }

    func list(_ partition: Int, unless digest: String?, _ connection: Connection) {
        perform(connection) { [repair = node.repair] in
            await repair.digests(ofPartition: partition)
        } then: { [self] digests, unread in
            if unread == 0 {
                let isSame = PartitionDigest(digests).description == digest
                session.partitionListed(isSame ? nil : digests.map { ($0.key, $0.value.description) })
            } else {
                session.replicaFailed("the partition cannot be read now")
            }
        }
    }

    func repair(_ scope: RepairScope, _ connection: Connection) {
        perform(connection) { [repair = node.repair] in
            await repair.repair(scope)
        } then: { [self] outcome in
            session.repaired(
                "mailboxes=\(outcome.mailboxes) merged=\(outcome.merged) failed=\(outcome.failed)")
        }
    }
}
