import Cluster
import Mail

/// A storage node: a disk with `mail/` and `spool/handoff-NODE`, and what the real one does with them, step by step.
final class StorageNode: SimulatedProcess {
    /// Its place in the ring.
    let index: Int
    let disk = SimulatedDisk()
    /// Merges that wait for one of the same mailbox, which is the first.
    var merges: [Int: [() -> Void]] = [:]
    /// For whom something came to wait since it was last looked for.
    var freshTargets: Set<Int> = []
    /// In which mailboxes something came to wait for each site since it was last looked for.
    var spooled: [Int: Set<Int>] = [:]
    var sessions: [Int: MaildropSession] = [:]
    private(set) var mover: MoverLoop?
    private var sessionCount = 0

    init(index: Int, name: String, place: Int, site: Site) {
        self.index = index
        super.init(name, place: place, site: site)
    }

    var ring: Ring { transition.ring }
    var scenario: Scenario { world.scenario }

    override func died() {
        merges = [:]
        freshTargets = []
        spooled = [:]
        sessions = [:]
    }

    override func started() {
        HandoffLoop(self).start()
        for peer in site.peers { SiteLoop(self, to: peer).start() }
        mover = MoverLoop(self)
        mover?.start()
        if let queue = scenario.relayQueue, let server = world.server {
            RelayLoop(self, queue: queue, server: server).start()
        }
    }

    /// Mailboxes that something is in and that this node does not own, in their order.
    var strays: [Int] {
        world.partitions.indices.filter { mailbox in
            !ring.owners(ofPartition: world.partitions[mailbox]).contains(Ring.NodeIndex(index))
                && !disk.maildir(mailbox, heldFor: nil).isEmpty
        }
    }

    /// The power goes, and with it what was not synced.
    func powerCut(_ why: String, downFor delay: SimulatedTime) {
        disk.powerCut(&world.random)
        crash(why, downFor: delay)
    }

    override func die(_ why: String, downFor delay: SimulatedTime) {
        if world.random.chance(0.5) {
            powerCut("power cut \(why)", downFor: delay)
        } else {
            crash(why, downFor: delay)
        }
    }

    // MARK: disk

    /// One step on the disk.
    func diskStep(_ step: Step, _ work: @escaping () -> Void) {
        self.step(step, after: world.random.between(50, 2_000) * disk.slowness, work)
    }

    /// Whether a sync comes through. One that fails says so.
    func syncs(_ what: String) -> Bool {
        guard world.random.chance(disk.syncFailure) else { return true }
        note("EIO: fsync \(what)")
        return false
    }

    /// The mailbox as it is now. What is tombstoned shows nowhere.
    func list(_ maildir: SimulatedMaildir) -> MaildirListing {
        let deleted = maildir.deleted
        // A tombstone that a loss of power may undo hides, but removes nothing.
        if !deleted.isEmpty, syncs("gone") {
            maildir.gone.sync()
            for name in deleted { maildir.new.unlink(name) }
        }
        let limit = wallSeconds - World.tombstoneGrace / 1_000_000
        let young = maildir.gone.names.filter { MintedName.seconds(of: $0).map { $0 >= limit } ?? true }
        let messages = maildir.new.names.filter { !deleted.contains($0) }
        let hidden = world.bug == .resentShown ? [:] : maildir.hidden
        return MaildirListing(messages: messages, shown: messages.filter { hidden[$0] == nil }, tombstones: young)
    }

    func list(_ mailbox: Int) -> MaildirListing { list(disk.maildir(mailbox, heldFor: nil)) }

    /// For another node, which may rely on what it is told. Tells nothing if that cannot be made durable.
    func listDurably(_ mailbox: Int, then: @escaping (MaildirListing) -> Void) {
        diskStep(.answer) { [self] in
            let listing = list(mailbox)
            diskStep(.syncFolder) { [self] in
                guard syncs("what is listed") else { return }
                disk.maildir(mailbox, heldFor: nil).syncAll()
                then(listing)
            }
        }
    }

    func digest(_ mailbox: Int) -> MailboxDigest {
        let listing = list(mailbox)
        var digest = MailboxDigest()
        for name in listing.messages { Self.withBytes(name) { digest.add(message: $0) } }
        for name in listing.tombstones { Self.withBytes(name) { digest.add(tombstone: $0) } }
        return digest
    }

    private static func withBytes(_ name: String, _ body: (UnsafeRawBufferPointer) -> Void) {
        var name = name
        name.withUTF8 { body(UnsafeRawBufferPointer($0)) }
    }

    // MARK: sessions

    /// Opens a maildrop, after what other replicas have was brought here. Tells nil if this node cannot take all of it.
    ///
    /// - Parameter merges: false for a mistake that is made on purpose.
    func open(_ mailbox: Int, merges: Bool = true, then: @escaping (MaildropSession?) -> Void) {
        let list = { [self] (hearsAll: Bool) in
            diskStep(.answer) { [self] in
                sessionCount += 1
                let listing = self.list(mailbox)
                let maildir = disk.maildir(mailbox, heldFor: nil)
                let session = MaildropSession(
                    id: sessionCount, node: index, life: life, mailbox: mailbox, listing: listing,
                    hearsAll: hearsAll, hidden: maildir.hidden, texts: maildir.texts)
                sessions[sessionCount] = session
                then(session)
            }
        }
        if world.bug == .readWithoutMerge || !merges { return list(true) }
        prepareOpening(mailbox) { [self] isWhole, hearsAll in
            if isWhole { return list(hearsAll) }
            note("its copy of mailbox \(mailbox) is not complete")
            then(nil)
        }
    }

    /// QUIT: deletes, and says whether all of it is done for good. A session ends once.
    func quit(_ session: MaildropSession, deleting names: [String], then: @escaping (Bool) -> Void) {
        guard session.life == life, sessions.removeValue(forKey: session.id) != nil else { return }
        guard !names.isEmpty else { return then(true) }
        delete(names, of: session) { [self] tombstone in
            guard let tombstone else { return then(false) }
            if world.bug == .deletionNotTold { return then(true) }
            step(.tellDeletion, after: 0) { [self] in
                DeletionNews(self, tombstone, of: session.mailbox).tell { [self] isSafe in
                    step(.answer, after: 0) { then(isSafe) }
                }
            }
        }
    }
}

/// A POP3 session on a storage node: its mailbox as it was opened.
struct MaildropSession {
    let id: Int
    let node: Int
    let life: Int
    let mailbox: Int
    let listing: MaildirListing
    /// Whether all who own it, or did before, were heard at the opening.
    let hearsAll: Bool
    /// What each hidden message is hidden behind.
    let hidden: [String: String]
    /// The texts of all messages, as their names told them.
    let texts: [String: Int]
}
