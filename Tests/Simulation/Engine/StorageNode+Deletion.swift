import Mail

/// What one session deleted, under a name of its own.
struct SimulatedTombstone {
    let name: String
    let lines: [DeletedMessage]
}

/// Deletions and tombstones, in the steps of the table of `Maildirs/Tombstones.swift`.
extension StorageNode {
    /// Takes a tombstone that another replica made, and removes what it names. One that is there was passed on when it came.
    func take(
        tombstone name: String, of lines: [DeletedMessage], to maildir: SimulatedMaildir,
        _ spools: SiteSpools = SiteSpools(), then: @escaping (Bool) -> Void
    ) {
        let tombstone = SimulatedTombstone(name: name, lines: lines)
        guard !spools.folders.isEmpty else { return take(tombstone, to: maildir, then: then) }
        if maildir.gone.entries[name] != nil {
            return diskStep(.syncTombstones) { [self] in
                guard syncs("gone") else { return then(false) }
                maildir.gone.sync()
                take(tombstone, to: maildir, then: then)
            }
        }
        write(tombstone, to: spools.folders[...]) { [self] outcome in
            guard outcome == .done else { return then(false) }
            spools.note(self)
            take(tombstone, to: maildir, then: then)
        }
    }

    private func take(
        _ tombstone: SimulatedTombstone, to maildir: SimulatedMaildir, then: @escaping (Bool) -> Void
    ) {
        let lines = tombstone.lines
        write(tombstone, to: maildir) { [self] outcome in
            switch outcome {
            case .failed: then(false)
            case .done: remove(lines, from: maildir) { then(true) }
            case .full:
                remove(lines, from: maildir) { [self] in
                    diskStep(.syncFolder) { [self] in
                        if syncs("new") { maildir.new.sync() }
                        write(tombstone, to: maildir) { then($0 == .done) }
                    }
                }
            }
        }
    }

    private func remove(_ lines: [DeletedMessage], from maildir: SimulatedMaildir, then: @escaping () -> Void) {
        diskStep(.unlink) { [self] in
            for _ in maildir.remove(lines) { disk.giveRoom() }
            then()
        }
    }

    /// Deletes for a session, and with each message what is hidden behind it. Tells nil if not, or not for good.
    func delete(
        _ names: [String], of session: MaildropSession, then: @escaping (SimulatedTombstone?) -> Void
    ) {
        let maildir = disk.maildir(session.mailbox, heldFor: nil)
        let identities = names + session.hidden.filter { names.contains($0.value) }.keys.sorted()
        let lines = identities.map { name in
            DeletedMessage(identity: name, text: world.bug == .deletionByName ? nil : session.texts[name])
        }
        let tombstone = SimulatedTombstone(name: mint(), lines: lines)
        note("deletes \(identities.joined(separator: " ")) by \(tombstone.name)")
        let spools = SiteSpools(self, session.mailbox, at: world.bug == .deletionNotSpooled ? nil : .origin)
        let folders = spools.folders + [maildir]
        let then = { (tombstone: SimulatedTombstone?) in
            if tombstone != nil { spools.note(self) }
            then(tombstone)
        }
        write(tombstone, to: folders[...]) { [self] outcome in
            switch outcome {
            case .failed: then(nil)
            case .done: unlink(identities[...], of: maildir) { then(tombstone) }
            case .full:
                // The room of what is deleted is used for saying so.
                world.removedForRoom.formUnion(identities)
                unlink(identities[...], of: maildir) { [self] in
                    diskStep(.syncFolder) { [self] in
                        if syncs("new") { maildir.new.sync() }
                        write(tombstone, to: folders[...]) { then($0 == .done ? tombstone : nil) }
                    }
                }
            }
        }
    }

    private enum Outcome { case done, full, failed }

    /// One after the other, as far as it goes.
    private func write(
        _ tombstone: SimulatedTombstone, to maildirs: ArraySlice<SimulatedMaildir>, then: @escaping (Outcome) -> Void
    ) {
        guard let first = maildirs.first else { return then(.done) }
        write(tombstone, to: first) { [self] outcome in
            if outcome == .done { write(tombstone, to: maildirs.dropFirst(), then: then) } else { then(outcome) }
        }
    }

    private func write(
        _ tombstone: SimulatedTombstone, to maildir: SimulatedMaildir, then: @escaping (Outcome) -> Void
    ) {
        diskStep(.writeTombstone) { [self] in
            guard disk.takeRoom() else { return then(.full) }
            let file = SimulatedFile(.tombstone(tombstone.lines))
            diskStep(.syncTombstone) { [self] in
                guard syncs("a tombstone") else {
                    disk.giveRoom()
                    return then(.failed)
                }
                file.isSynced = true
                diskStep(.linkTombstone) { [self] in
                    maildir.gone.link(tombstone.name, file)
                    diskStep(.syncTombstones) { [self] in
                        guard syncs("gone") else { return then(.failed) }
                        maildir.gone.sync()
                        then(.done)
                    }
                }
            }
        }
    }

    /// One after the other, so that a crash leaves some.
    private func unlink(
        _ identities: ArraySlice<String>, of maildir: SimulatedMaildir, then: @escaping () -> Void
    ) {
        guard let first = identities.first else { return then() }
        diskStep(.unlink) { [self] in
            maildir.new.unlink(first)
            disk.giveRoom()
            unlink(identities.dropFirst(), of: maildir, then: then)
        }
    }
}
