/// What comes after the faults: everything is up again, everything is read, handed over and merged until it is quiet, and
/// then looked at.
final class Healing {
    private unowned let world: World
    private var rounds = 0
    private var isCompared = false

    /// So long nothing of what began among faults can go on.
    private static let settling = SimulatedTime.seconds(90)
    /// Longer than it takes until a node looks through everything that waits on it.
    private var roundsMax: Int { world.sites.count > 1 ? 14 : 6 }
    /// In which clocks are set ahead of all names from the future.
    private static let clockRound = 9
    private static let clockStep = SimulatedTime.days(5)

    init(_ world: World) { self.world = world }

    func start() {
        world.note("healing")
        world.takesClients = false
        world.crashChance = 0
        world.pausesDrains = world.scenario.pausesDrains
        world.network.cure()
        for process in world.processes {
            process.goOn()
            process.start()
            process.learnEpoch()
        }
        for node in world.nodes { node.disk.cure() }
        world.after(Self.settling) { [self] in loseDisks() }
    }

    private func loseDisks() {
        let count = world.scenario.disksLostLate
        guard count > 0 else { return readAll() }
        for site in world.sites {
            for index in world.random.sample(count, below: site.nodes.count) { world.loseDisk(site.nodes[index]) }
        }
        // The others must have found out that they are back.
        world.after(.seconds(40)) { [self] in readAll() }
    }

    // MARK: reading

    /// Whatever a site acknowledged shows at every owner of it, though nothing was handed over or repaired for it.
    private func readAll() {
        var openings: [(mailbox: Int, node: StorageNode)] = []
        for site in world.sites {
            for mailbox in world.partitions.indices {
                for owner in site.owners(of: mailbox) { openings.append((mailbox, site.nodes[owner])) }
            }
        }
        // Any owner may be asked first.
        openings.shuffle(using: &world.random)
        read(openings[...])
    }

    private func read(_ openings: ArraySlice<(mailbox: Int, node: StorageNode)>) {
        guard let first = openings.first else { return resume() }
        let (node, site) = (first.node, first.node.site.number)
        node.open(first.mailbox) { [self] session in
            guard let session else { return world.complain("mailbox \(first.mailbox) cannot be opened after healing") }
            world.note("reads mailbox \(first.mailbox) at \(node.name): \(session.listing.shown)")
            for complaint in world.ledger.complaints(first.mailbox, shows: session.listing.shown, at: site) {
                guard node.isToCome(complaint) else {
                    return world.complain("read at \(node.name) after healing: \(complaint)")
                }
                world.tally.late += 1
            }
            read(openings.dropFirst())
        }
    }

    // MARK: repair

    private func resume() {
        world.pausesDrains = false
        world.after(.seconds(10)) { [self] in repair() }
    }

    private func repair() {
        rounds += 1
        var pairs: [(mailbox: Int, here: StorageNode, there: Int)] = []
        for site in world.sites {
            for mailbox in world.partitions.indices {
                let owners = site.owners(of: mailbox)
                for other in owners.dropFirst() { pairs.append((mailbox, site.nodes[owners[0]], other)) }
            }
        }
        merge(pairs[...])
    }

    private func merge(_ pairs: ArraySlice<(mailbox: Int, here: StorageNode, there: Int)>) {
        guard let first = pairs.first else { return judge() }
        first.here.merge(first.mailbox, with: first.there) { [self] _ in merge(pairs.dropFirst()) }
    }

    // MARK: judging

    private func judge() {
        if let unrest {
            guard rounds < roundsMax else { return world.complain(unrest) }
            if rounds == Self.clockRound, world.scenario.clockErrorMax >= .days(1) {
                world.tally.clockWaits += 1
                for process in world.processes { process.clockError += Self.clockStep }
            }
            return world.after(.seconds(60)) { [self] in repair() }
        }
        let unlike = unlike
        if let unlike {
            guard mayDiffer else { return world.complain(unlike) }
            if !isCompared { return compareSites() }
            // What nobody was told of may have come to a mirror before it was lost, and nothing goes back from there.
            guard world.scenario.topology == .chain else { return world.complain(unlike) }
        }
        // Sites that are alike are looked at once.
        for site in unlike == nil ? Array(world.sites.prefix(1)) : world.sites {
            if let complaint = judge(site, promisesOf: unlike == nil ? nil : site.number) {
                return world.complain(complaint)
            }
        }
        if let name = neverRelayed { return world.complain("\(name) was neither relayed nor given up") }
        world.isOver = true
    }

    /// What was acknowledged for elsewhere, and nobody has heard of there or here.
    private var neverRelayed: String? {
        guard let queue = world.scenario.relayQueue else { return nil }
        let page = world.ledger.pages[queue]
        return page.acknowledged.sorted().first { name in page.minted[name].map { !world.relayed.isOver($0) } ?? false }
    }

    /// As `site sync` at every site. After it sites must become equal, whatever was lost, where each one's mail comes to all.
    private func compareSites() {
        isCompared = true
        world.tally.unequalSites += 1
        for site in world.sites {
            for peer in site.peers {
                for mailbox in world.partitions.indices {
                    SiteComparison(site.nodes[site.owners(of: mailbox)[0]], mailbox, with: world.sites[peer]).run()
                }
            }
        }
        rounds = 0
        world.after(.seconds(60)) { [self] in repair() }
    }

    /// Whether a disk was lost with what only it was to pass on.
    private var mayDiffer: Bool { world.scenario.disksLost + world.scenario.disksLostLate > 0 }

    /// - Parameter number: of the site whose promises count; nil for all sites.
    private func judge(_ site: Site, promisesOf number: Int?) -> String? {
        for mailbox in world.partitions.indices {
            let node = site.nodes[site.owners(of: mailbox)[0]]
            let listing = node.list(mailbox)
            var complaints = world.ledger.complaints(mailbox, shows: listing.shown, at: number)
            for name in listing.messages where !isWhole(name, in: mailbox, at: node) {
                complaints.append(Complaint(.damaged, name, mailbox))
            }
            if let first = complaints.first { return "in the end: \(first)" }
            world.tally.doubles += world.ledger.doubles(mailbox, among: listing.shown)
            world.tally.hidden += listing.messages.count - listing.shown.count
        }
        return nil
    }

    /// All messages and tombstones.
    private func names(_ mailbox: Int, at site: Site) -> Set<String> {
        let listing = site.nodes[site.owners(of: mailbox)[0]].list(mailbox)
        return Set(listing.messages + listing.tombstones).subtracting(world.removedForRoom)
    }

    /// Where sites differ.
    private var unlike: String? {
        for mailbox in world.partitions.indices {
            let first = world.sites[0]
            let ours = names(mailbox, at: first)
            for site in world.sites.dropFirst() {
                let theirs = names(mailbox, at: site)
                if ours == theirs { continue }
                return "mailbox \(mailbox): only \(first.name) has \(ours.subtracting(theirs).sorted()), "
                    + "only \(site.name) has \(theirs.subtracting(ours).sorted())"
            }
        }
        return nil
    }

    private func isWhole(_ name: String, in mailbox: Int, at node: StorageNode) -> Bool {
        guard let text = world.ledger.pages[mailbox].minted[name] else { return false }
        return node.disk.maildir(mailbox, heldFor: nil).new.entries[name]?.content == .message(text: text)
    }

    /// What is not quiet yet.
    private var unrest: String? {
        if let queue = world.scenario.relayQueue {
            for node in world.nodes where !node.list(queue).shown.isEmpty {
                return "something waits on \(node.name) for the relay for ever"
            }
        }
        for node in world.nodes where node.disk.hasHeld { return "something waits on \(node.name) for ever" }
        for node in world.nodes {
            for peer in node.site.peers where !node.disk.mailboxes(forSite: peer).isEmpty {
                return "something waits on \(node.name) for site\(peer) for ever"
            }
        }
        for node in world.nodes where !node.strays.isEmpty {
            return "\(node.name) does not give up mailboxes \(node.strays)"
        }
        for site in world.sites {
            for mailbox in world.partitions.indices {
                let owners = site.owners(of: mailbox)
                for other in owners.dropFirst()
                where site.nodes[other].digest(mailbox) != site.nodes[owners[0]].digest(mailbox) {
                    return
                        "replicas of mailbox \(mailbox) differ on \(site.nodes[owners[0]].name) and \(site.nodes[other].name)"
                }
            }
        }
        return nil
    }
}
