import Mail

/// What one LMTP transaction brings to a storage node.
enum Cargo {
    /// From a frontend.
    case message(text: Int)
    /// From another node, which may be one of many that bring it.
    case copy(FileContent)
    case tombstone([DeletedMessage])
    /// The node has it, and is to keep it for another one too.
    case hold
    /// The node need not keep it for another site any more.
    case release(site: Int)

    /// Where it has been if nothing says so: what a client sent goes to all sites, and what comes from another replica has gone.
    var path: SitePath? {
        if case .message = self { .origin } else { nil }
    }
}

/// Deliveries, in the steps of the table of `Maildirs/Delivery.swift`.
extension StorageNode {
    static let deferred = Verdict.deferred(.unexpected)

    /// Takes what came for a mailbox, or what is to be kept there for another node, and answers when it is durable.
    ///
    /// - Parameter path: the sites that it has been at, if the node is to pass it on to others.
    func receive(
        _ cargo: Cargo, named name: String, for mailbox: Int, heldFor target: Int?,
        at path: SitePath? = nil, isRepeat: Bool, reply: @escaping (Verdict) -> Void
    ) {
        let maildir = disk.maildir(mailbox, heldFor: target)
        let isEarly = target != nil && world.bug == .handoffAcknowledgedEarly
        if isEarly { reply(.accepted) }
        let answer: (Bool) -> Void = { [self] isKept in
            note("\(isKept ? "keeps" : "does not keep") \(name)\(target.map { " for node \($0)" } ?? "")")
            if isKept, let target { freshTargets.insert(target) }
            if isEarly { return }
            step(.answer, after: 0) { reply(isKept ? .accepted : Self.deferred) }
        }
        let spools = target == nil ? SiteSpools(self, mailbox, at: path ?? cargo.path) : SiteSpools()
        switch cargo {
        case .message(let text):
            deliver(.message(text: text), named: name, to: maildir, spools, mayBeThere: isRepeat, then: answer)
        case .copy(let content): deliver(content, named: name, to: maildir, spools, mayBeThere: true, then: answer)
        case .tombstone(let lines): take(tombstone: name, of: lines, to: maildir, spools, then: answer)
        case .release(let site): release(name, of: mailbox, forSite: site, then: answer)
        case .hold:
            guard let target else { preconditionFailure("a hold for nobody") }
            hold(name, of: mailbox, for: target, then: answer)
        }
    }

    /// - Parameters:
    ///   - mayBeThere: it is looked for first.
    ///   - then: told whether it is durable here, or deleted already.
    func deliver(
        _ content: FileContent, named name: String, to maildir: SimulatedMaildir,
        _ spools: SiteSpools = SiteSpools(), mayBeThere: Bool, then: @escaping (Bool) -> Void
    ) {
        diskStep(.writeTemporary) { [self] in
            if mayBeThere, maildir.knows(name, text: content.text) {
                // Whoever made it so may not have synced it yet.
                return diskStep(.syncFolder) { [self] in
                    guard syncs("what is there") else { return then(false) }
                    maildir.syncAll()
                    then(true)
                }
            }
            guard disk.takeRoom() else { return then(false) }
            let file = SimulatedFile(content)
            diskStep(.syncFile) { [self] in
                guard syncs("tmp/\(name)") else {
                    disk.giveRoom()
                    return then(false)
                }
                file.isSynced = true
                link(file, named: name, to: maildir, spools, then)
            }
        }
    }

    private func link(
        _ file: SimulatedFile, named name: String, to maildir: SimulatedMaildir, _ spools: SiteSpools,
        _ then: @escaping (Bool) -> Void
    ) {
        let linkNew = { [self] (then: @escaping (Bool) -> Void) in
            diskStep(.link) { [self] in
                if maildir.new.entries[name] != nil { disk.giveRoom() }
                maildir.new.link(name, file)
                if world.bug == .noDirectorySync { return then(true) }
                sync(maildir.new, .syncFolder, then)
            }
        }
        if world.bug == .spooledLate {
            return linkNew { [self] isThere in
                if isThere {
                    spool(file, named: name, spools, isSynced: false) { _ in then(true) }
                } else {
                    then(false)
                }
            }
        }
        spool(file, named: name, spools) { [self] isSpooled in
            if isSpooled { return linkNew(then) }
            disk.giveRoom()
            then(false)
        }
    }

    /// Links it into the spools of the sites that are to have it, and makes that durable.
    func spool(
        _ file: SimulatedFile, named name: String, _ spools: SiteSpools, isSynced: Bool = true,
        then: @escaping (Bool) -> Void
    ) {
        guard !spools.folders.isEmpty else { return then(true) }
        diskStep(.linkSpool) { [self] in
            for folder in spools.folders { folder.new.link(SpooledName.make(name, spools.path), file) }
            spools.note(self)
            guard isSynced else { return then(true) }
            sync(spools.folders.map(\.new)[...], then)
        }
    }

    private func sync(_ folders: ArraySlice<SimulatedFolder>, _ then: @escaping (Bool) -> Void) {
        guard let first = folders.first else { return then(true) }
        sync(first, .syncSpool) { [self] isSynced in
            if isSynced { sync(folders.dropFirst(), then) } else { then(false) }
        }
    }

    private func sync(_ folder: SimulatedFolder, _ step: Step, _ then: @escaping (Bool) -> Void) {
        diskStep(step) { [self] in
            guard syncs("a folder") else { return then(false) }
            folder.sync()
            then(true)
        }
    }

    /// Keeps a file that this node has, in its own mailbox or waiting for whomever, for another node too, without a second
    /// copy of its bytes.
    func hold(_ name: String, of mailbox: Int, for target: Int, then: @escaping (Bool) -> Void) {
        let places = ([nil] + disk.targets).map { disk.maildir(mailbox, heldFor: $0) }
        let spool = disk.maildir(mailbox, heldFor: target)
        diskStep(.linkHeld) { [self] in
            for place in places {
                if let file = place.new.entries[name] {
                    spool.new.link(name, file)
                    return sync(spool.new, .syncHeld, then)
                }
                if let file = place.gone.entries[name] {
                    spool.gone.link(name, file)
                    return sync(spool.gone, .syncHeld, then)
                }
                guard place.knows(name, text: nil) else { continue }
                return diskStep(.syncHeld) { [self] in
                    // Deleted meanwhile: the deletion has told everybody itself.
                    guard syncs("what is there") else { return then(false) }
                    place.syncAll()
                    then(true)
                }
            }
            then(false)
        }
    }
}
