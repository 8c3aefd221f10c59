import FileTimes
import Glibc
package import Mail

/// What replicas of a mailbox give each other: tombstones, and copies that wait for another node.
extension MaildirStore {
    /// Takes a tombstone that another replica made, and removes what it names. It is kept under its name, so a repeat does
    /// nothing. One whose time is over is taken and forgotten: every replica has forgotten it, but not another site, where it may
    /// have waited for long. Where a full disk has no room
    /// for it, what it names makes room: the other replica has it, and brings it again.
    package func deliver(
        _ tombstone: Tombstone, to mailbox: MailboxName, partition: Int, heldFor target: SpoolTarget? = nil,
        sites: SiteSpools = SiteSpools(), then: @escaping @Sendable (Result<Void, MaildirError>) -> Void
    ) {
        check(partition, mailbox)
        let folder = MailboxFolder(mailbox, partition: partition, heldFor: target)
        let key = MailboxKey(mailbox: mailbox, partition: partition)
        core.remove(then: then) { [core] () throws(MaildirError) in
            if sites.path == .origin, Self.isForgotten(tombstone.name, core) { return }
            try core.root.withDirectory { root throws(MaildirError) in
                try core.folders.withMade(folder, in: root) { opened throws(MaildirError) in
                    // One that is here already was passed on when it came.
                    let isPassedOn = sites.isEmpty ? true : try Tombstones.isDurable(tombstone.name, in: opened)
                    let deleted = DeletedMessages(lines: tombstone.lines, window: core.options.resendWindow)
                    try Tombstones.write(
                        tombstone, in: opened, folder, sites: isPassedOn ? SiteSpools() : sites, of: key, root, core
                    ) { () throws(MaildirError) in
                        // What cannot be removed is hidden by the tombstone, and goes with a later listing.
                        _ = try MailboxScan(mailbox: opened, core: core).remove(deleted)
                        if target == nil { Handoff.forget(deleted, of: key, root, core) }
                    }
                }
            }
        }
    }

    /// Whether the time of a tombstone is over, as its name tells. While a clock is in doubt, none is.
    private static func isForgotten(_ name: MessageIdentity, _ core: StoreCore) -> Bool {
        guard let limit = try? core.ages.localLimit(core, age: core.options.tombstoneAge),
            let seconds = Array(name.text.utf8).withUnsafeBytes({ MessageNameBytes($0)?.seconds })
        else { return false }
        return seconds < core.forgets(before: limit)
    }

    /// Whether a tombstone deletes a message, by its name or as a repeat of one.
    package func deletes(_ tombstone: Tombstone, _ index: Int, of snapshot: MaildropSnapshot) -> Bool {
        let deleted = DeletedMessages(lines: tombstone.lines, window: core.options.resendWindow)
        return snapshot.identity(at: index).withUnsafeBytes { identity in
            snapshot.name(at: index).withUnsafeBytes { deleted.contains(identity, name: $0) }
        }
    }

    /// What a tombstone says; nil if there is none of that name.
    package func tombstone(
        _ name: MessageIdentity, of snapshot: MaildropSnapshot,
        then: @escaping @Sendable (Result<Tombstone?, MaildirError>) -> Void
    ) {
        core.read(then: then) { [core] () throws(MaildirError) in
            try core.root.withDirectory { root throws(MaildirError) in
                guard let mailbox = try snapshot.folder.openIfThere(in: root),
                    let lines = try Tombstones.contents(of: Array(name.text.utf8), in: mailbox)
                else { return nil }
                return Tombstone(name: name, lines: lines)
            }
        }
    }

    /// Keeps the message or tombstone of this name for another node too, without a second copy of its bytes. Success means
    /// that it is kept durably, or that the message was deleted meanwhile.
    package func hold(
        _ name: MessageIdentity, of mailbox: MailboxName, partition: Int, for target: SpoolTarget,
        then: @escaping @Sendable (Result<Void, MaildirError>) -> Void
    ) {
        check(partition, mailbox)
        let key = MailboxKey(mailbox: mailbox, partition: partition)
        core.remove(then: then) { [core] () throws(MaildirError) in
            try Handoff(key: key, target: target, core: core).hold(name)
        }
    }

    /// Lets go of a message or tombstone that the other side has been given by another node.
    package func release(
        _ name: MessageIdentity, of mailbox: MailboxName, partition: Int, for target: SpoolTarget,
        then: @escaping @Sendable (Result<Void, MaildirError>) -> Void
    ) {
        check(partition, mailbox)
        let key = MailboxKey(mailbox: mailbox, partition: partition)
        core.remove(then: then) { [core] () throws(MaildirError) in
            try Handoff(key: key, target: target, core: core).letGo(name)
        }
    }

    /// Makes sure that a message that waits for a site is in this node's own mailbox, or was deleted from it.
    ///
    /// - Parameters:
    ///   - sites: those that are to have it, if it was not there.
    ///   - then: told whether it was put there now.
    package func restore(
        _ index: Int, of snapshot: MaildropSnapshot, heldFor target: SpoolTarget, sites: SiteSpools = SiteSpools(),
        then: @escaping @Sendable (Result<Bool, MaildirError>) -> Void
    ) {
        let key = snapshot.key
        core.remove(then: then) { [core] () throws(MaildirError) in
            try Handoff(key: key, target: target, core: core).restore(index, of: snapshot, sites: sites)
        }
    }

    /// The nodes that something may wait for.
    package func handoffTargets(then: @escaping @Sendable (Result<[SpoolTarget], MaildirError>) -> Void) {
        core.read(then: then) { [core] () throws(MaildirError) in try Handoff.targets(core) }
    }

    /// The next mailboxes in which something waits for a node, in the order of their folders.
    ///
    /// - Parameters:
    ///   - last: the last one of the answer before; nil to begin.
    ///   - count: the most to tell.
    package func heldMailboxes(
        for target: SpoolTarget, after last: MailboxKey?, count: Int,
        then: @escaping @Sendable (Result<MailboxPage, MaildirError>) -> Void
    ) {
        core.read(then: then) { [core] () throws(MaildirError) in
            try Handoff.mailboxes(for: target, after: last, count: count, core: core)
        }
    }

    /// Lets go of what the other node has taken.
    package func release(
        messages indices: [Int], tombstones: [MessageIdentity], of snapshot: MaildropSnapshot,
        then: @escaping @Sendable (Result<Void, MaildirError>) -> Void
    ) {
        core.remove(then: then) { [core] () throws(MaildirError) in
            try Handoff.release(indices, tombstones, of: snapshot, core: core)
        }
    }
}
