import Glibc
import Mail

// The states of a message on disk, and what a crash (of the process, or of the power) leaves.
//
// |   | done                         | on disk after a crash              | why that is safe                           |
// |---|------------------------------|------------------------------------|--------------------------------------------|
// | 1 | folders made, each directory | nothing, or empty folders          | nothing was said; whoever delivers next    |
// |   | on the way synced            |                                    | makes the rest and syncs the way itself    |
// | 2 | tmp/NAME made (O_EXCL)       | an empty or partial tmp/ file      | nobody reads tmp/; cleanTmp removes it     |
// | 3 | header and body written      | the same                           | the same                                   |
// | 4 | file synced                  | a whole tmp/ file                  | the same; the sender delivers again        |
// |4a | linked to the spools of the  | in spools, not in new/             | whoever carries a spool's mail to its site |
// |   | sites that are to have it,   |                                    | puts it into new/ first, if it is not there|
// |   | these synced; for a spool    | marked, and not in new/            | and was not deleted; a mark in vain costs  |
// |   | that is full the site's mark |                                    | a comparison in vain                       |
// | 5 | renamed into new/, where the | in new/ after a process's crash,   | whole (4 came first); not acknowledged, so |
// |   | file system can do so without| in new/ or not after a power cut   | the sender repeats: the identity is found  |
// |   | replacing; elsewhere linked  |                                    |                                            |
// | 6 | new/ synced                  | in new/                            | it is durable, acknowledged or not         |
// | 7 | answered                     | in new/                            | a repeat finds the identity                |
// | 8 | tmp/ name removed, if linked | in new/, perhaps still in tmp/ too | two names of one file; cleanTmp removes one|
//
// - Between 5 and 6 a reader may see the message already. That is no promise: only the answer is.
// - Found already there: another process may be between 5 and 6 with it, so the directory is synced before the answer.
// - link or rename reports a failure though a lost first request did it (NFS): the name is looked at, and it is success only if it
//   stands for our open file.
// - fsync of the file fails: the kernel may have dropped pages and say success the next time, so this file is given up
//   and the delivery deferred, with nothing left behind.
// - fsync of new/ fails: deferred, and the name stays in new/. It must not be removed: another process may have found it
//   there and answered for it. At worst the sender brings a second copy of a message that did survive.
// - A file that several mailboxes have is synced once, and then linked into each new/, which is synced as ever; its name in
//   tmp/ goes when the last of them has it. A crash between them leaves a message that some have and some have not, and
//   nobody was told: the sender repeats, and those who have it are found.
// - A spool is full: the mark says that the site must be compared. Whoever compares takes the mark away first and looks at
//   the mailbox then, so the mark is looked for once more between 6 and 7, and made again if it is not there.
// - ENOSPC, EDQUOT, EROFS, EIO anywhere before 5: deferred, the tmp/ file is removed.

/// Delivers what waits for one mailbox together: each file is written, synced and linked, then `new/` is synced once.
struct Delivery {
    private let core: StoreCore
    private var folder: DeliveryFolder
    private var attempts = 1
    /// Which of the messages that may be repeats are there.
    private var repeats: Result<Set<[UInt8]>, MaildirError> = .success([])

    /// A file in `tmp/` that is whole and synced.
    private struct Written {
        let job: DeliveryJob
        let file: OpenFile
        let name: String
        /// Whose `tmp/` it is in.
        let home: DeliveryFolder
        /// Others have the same file, and need its name in `tmp/`; the last of them removes that.
        var isShared = false
        var outcome: CommitOutcome?
        /// Spools that were too full for it.
        var leftOut: [MailboxFolder] = []
        /// It is not in `tmp/` any more.
        var isMoved = false
        /// Where it has its name.
        var place: DeliveryFolder?
        /// Its job has been told of a failure.
        var isGivenUp = false
    }

    static func deliver(_ jobs: [DeliveryJob], to folder: MailboxFolder, core: StoreCore) {
        var names: Set<MessageIdentity> = []
        var (first, again): ([DeliveryJob], [DeliveryJob]) = ([], [])
        for job in jobs {
            if names.insert(job.identity).inserted { first.append(job) } else { again.append(job) }
        }
        deliverOnce(first, to: folder, core: core)
        // What is there twice is looked for after the first one is there.
        if !again.isEmpty { deliver(again, to: folder, core: core) }
    }

    private static func deliverOnce(_ jobs: [DeliveryJob], to folder: MailboxFolder, core: StoreCore) {
        var delivery: Delivery
        do throws(MaildirError) {
            let opened = try core.root.withDirectory { root throws(MaildirError) in
                try core.folders.open(folder, in: root)
            }
            delivery = Delivery(core: core, folder: opened)
        } catch {
            for job in jobs { job.finish(.failure(error)) }
            return
        }
        delivery.deliver(jobs)
    }

    private mutating func deliver(_ jobs: [DeliveryJob]) {
        findRepeats(among: jobs)
        var written: [Written] = []
        written.reserveCapacity(jobs.count)
        for job in jobs {
            do throws(MaildirError) {
                if let file = try writeOnFreshFolders(job) { written.append(file) }
            } catch {
                forgetFolder(after: error)
                job.finish(.failure(error))
            }
        }
        spool(&written)
        for index in written.indices where !written[index].isGivenUp { link(&written[index]) }
        answer(written)
        for file in written where !file.isMoved && !file.isShared {
            _ = file.name.withCString { unlinkat(file.home.tmp.descriptor, $0, 0) }
        }
    }

    /// A handle that went bad is opened anew for the next delivery.
    private func forgetFolder(after error: MaildirError) {
        if !error.isFull { core.folders.close(folder.folder) }
    }

    // MARK: - tmp/

    /// Opens the folders anew if somebody removed them, or an NFS server was replaced. False if that is not what is wrong, or
    /// was tried too often.
    private mutating func reopen(after error: MaildirError) throws(MaildirError) -> Bool {
        guard error.isFolderGone, attempts < FolderMaker.attemptsMax else { return false }
        attempts += 1
        core.folders.close(folder.folder)
        let path = folder.folder
        folder = try core.root.withDirectory { root throws(MaildirError) in try core.folders.open(path, in: root) }
        return true
    }

    private mutating func writeOnFreshFolders(_ job: DeliveryJob) throws(MaildirError) -> Written? {
        while true {
            do throws(MaildirError) {
                return try write(job)
            } catch {
                guard job.canBeWritten, try reopen(after: error) else { throw error }
            }
        }
    }

    /// Nil if the message was there already, and the job has been answered.
    private func write(_ job: DeliveryJob) throws(MaildirError) -> Written? {
        if case .spilled(let spill, let isShared) = job.body { return try finish(spill, of: job, isShared) }
        if case .shared(let spill, _) = job.body { return try share(spill, with: job) }
        if try answerRepeat(job) { return nil }
        let (file, name) = try create(job)
        do throws(MaildirError) {
            try fill(file, name, with: job)
            job.body = .written
            try sync(file, name)
        } catch {
            unlinkat(folder.tmp.descriptor, name, 0)
            throw error
        }
        return Written(job: job, file: file, name: name, home: folder)
    }

    private func create(_ job: DeliveryJob) throws(MaildirError) -> (OpenFile, String) {
        while true {
            let name = core.names.temporary(for: job.identity)
            do throws(MaildirError) {
                return (try Self.create(name, in: folder, faults: core.options.faults), name)
            } catch {
                // Only chance or a foreign hand makes a name twice; the next one differs.
                if error.errorNumber != EEXIST { throw error }
            }
        }
    }

    /// A new file in `tmp/`, mode 0600 whatever the umask is.
    static func create(_ name: String, in folder: DeliveryFolder, faults: FaultPlan?) throws(MaildirError) -> OpenFile {
        if case .fail(let number) = faults?.decide(.create, name) {
            throw .failed(operation: "open", path: "\(folder.folder.path)/tmp/\(name)", errno: number)
        }
        let file = try name.withCString { path in
            Result { () throws(MaildirError) in
                try OpenFile.open(path, in: folder.tmp.descriptor, flags: O_RDWR | O_CREAT | O_EXCL, mode: 0o600)
            }
        }.get()
        if try file.status().st_mode & 0o7777 != 0o600 { fchmod(file.descriptor, 0o600) }
        return file
    }

    private func fill(_ file: OpenFile, _ name: String, with job: DeliveryJob) throws(MaildirError) {
        if case .fail(let number) = core.options.faults?.decide(.write, name) {
            throw .failed(operation: "write", path: name, errno: number)
        }
        try job.fill(file, name)
    }

    private func sync(_ file: OpenFile, _ name: String) throws(MaildirError) {
        if case .fail(let number) = core.options.faults?.decide(.syncFile, name) {
            throw .failed(operation: "fsync", path: name, errno: number)
        }
        try file.sync(name)
    }

    /// The file is written already. Other recipients have it too or copy from it, so it is synced even if this one needs it
    /// no more.
    private func finish(_ spill: Spill, of job: DeliveryJob, _ isShared: Bool) throws(MaildirError) -> Written? {
        job.finish(spill)
        try sync(spill.file, spill.name)
        job.synced(.success(()))
        if try answerRepeat(job) { return nil }
        if !isShared {
            spill.giveUpName()
            job.body = .written
        }
        return Written(job: job, file: spill.file, name: spill.name, home: spill.home, isShared: isShared)
    }

    /// Another recipient's file, which is synced, gets one more name.
    private func share(_ spill: Spill, with job: DeliveryJob) throws(MaildirError) -> Written? {
        if try answerRepeat(job) { return nil }
        job.finish(spill)
        return Written(job: job, file: spill.file, name: spill.name, home: spill.home, isShared: true)
    }

    // MARK: - spool/

    /// Links what other sites are to have into the spools for them, and makes that durable, before anybody sees it here.
    private func spool(_ written: inout [Written]) {
        guard written.contains(where: { !$0.job.spools.isEmpty }) else { return }
        var touched: [MailboxFolder: OpenFile] = [:]
        for index in written.indices {
            written[index].leftOut = written[index].job.spools.filter(core.leavesOut)
            giveUp(&written[index]) { file throws(MaildirError) in
                for target in file.job.spools where !file.leftOut.contains(target) {
                    let spool = try core.root.withDirectory { root throws(MaildirError) in
                        try core.folders.open(target, in: root)
                    }
                    let name = file.job.recipient.sites.fileName(file.job.fileName)
                    // Where the name is taken, the message was spooled before and not delivered after that.
                    let outcome = try ExclusiveLink.make(
                        file.file, at: file.name, in: file.home.tmp, as: name, in: spool.new,
                        fault: core.options.faults?.decide(.link, name))
                    if outcome == .made { core.gauges.changed(target, by: 1) }
                    touched[target] = spool.new
                }
            }
        }
        for (target, directory) in touched {
            let synced = Result { () throws(MaildirError) in
                try core.options.faults?.check(.syncDirectory, "\(target.path)/new")
                try directory.sync("\(target.path)/new")
            }
            for index in written.indices where written[index].job.spools.contains(target) {
                giveUp(&written[index]) { _ throws(MaildirError) in try synced.get() }
            }
        }
    }

    /// Does something with a file that is not given up yet; if that fails, the file is.
    private func giveUp(_ file: inout Written, unless body: (Written) throws(MaildirError) -> Void) {
        guard !file.isGivenUp else { return }
        do throws(MaildirError) {
            try body(file)
        } catch {
            file.isGivenUp = true
            forgetFolder(after: error)
            if !error.isFull { file.job.spools.forEach(core.folders.close) }
            file.job.finish(.failure(error))
        }
    }

    // MARK: - new/

    /// Once for all of them.
    private mutating func findRepeats(among jobs: [DeliveryJob]) {
        let wanted = jobs.filter(\.mayBeRepeat).map { job in
            if case .spilled(let spill, _) = job.body { job.finish(spill) }
            return job.named
        }
        if wanted.isEmpty { return }
        repeats = Result { () throws(MaildirError) in
            try core.root.withDirectory { root throws(MaildirError) in
                guard let mailbox = try folder.folder.openIfThere(in: root) else { return [] }
                return try RepeatSearch(folder: folder.folder, mailbox: mailbox, core: core).findDurable(wanted)
            }
        }
    }

    private func answerRepeat(_ job: DeliveryJob) throws(MaildirError) -> Bool {
        guard job.mayBeRepeat, try repeats.get().contains(Array(job.identity.text.utf8)) else { return false }
        job.finish(.success(.alreadyThere))
        return true
    }

    private mutating func link(_ file: inout Written) {
        core.maps.willLink(Array(file.job.identity.text.utf8), to: folder.folder)
        do throws(MaildirError) {
            try takeOrCopy(&file)
        } catch {
            forgetFolder(after: error)
            file.job.finish(.failure(error))
        }
    }

    /// Where another recipient's file cannot get one more name, its text is copied: it may have as many as the file system
    /// allows, or the folder may be gone.
    private mutating func takeOrCopy(_ file: inout Written) throws(MaildirError) {
        do throws(MaildirError) {
            try takeOnFreshFolders(&file)
        } catch {
            guard case .shared(let spill, let length) = file.job.body else { throw error }
            file.job.body = .copied(from: spill, length: length)
            guard let copy = try writeOnFreshFolders(file.job) else { return }
            file = copy
            try take(&file)
        }
    }

    /// What is in `tmp/` keeps its mailbox's folder, but not what may be removed before `tmp/` was made anew.
    private mutating func takeOnFreshFolders(_ file: inout Written) throws(MaildirError) {
        while true {
            do throws(MaildirError) {
                return try take(&file)
            } catch {
                guard try reopen(after: error) else { throw error }
            }
        }
    }

    private func take(_ file: inout Written) throws(MaildirError) {
        let name = file.job.fileName
        let (tmp, fault) = (file.home.tmp, core.options.faults?.decide(.link, name))
        let outcome =
            file.isShared
            ? try ExclusiveLink.make(file.file, at: file.name, in: tmp, as: name, in: folder.new, fault: fault)
            : try ExclusiveLink.move(
                file.file, at: file.name, in: tmp, as: name, in: folder.new, where: core.canMove, fault: fault)
        file.outcome = outcome == .taken ? .alreadyThere : .stored
        file.isMoved = outcome == .moved
        file.place = folder
    }

    private func answer(_ written: [Written]) {
        // All in one, unless it was opened anew between two of them.
        var last: (place: DeliveryFolder, synced: Result<Void, MaildirError>)?
        for file in written {
            guard let outcome = file.outcome, let place = file.place else { continue }
            if last?.place !== place {
                let synced = Result { () throws(MaildirError) in try syncNew(of: place) }
                if case .failure(let error) = synced { forgetFolder(after: error) }
                last = (place, synced)
            }
            if let last { file.job.finish(confirmed(file, last.synced).map { outcome }) }
        }
    }

    /// Whoever compares with a site may not have seen what is seen now, and was left out for it.
    private func confirmed(_ file: Written, _ synced: Result<Void, MaildirError>) -> Result<Void, MaildirError> {
        guard !file.leftOut.isEmpty, case .success = synced else { return synced }
        return Result { () throws(MaildirError) in try core.confirm(leftOut: file.leftOut) }
    }

    private func syncNew(of folder: DeliveryFolder) throws(MaildirError) {
        if case .fail(let number) = core.options.faults?.decide(.syncDirectory, folder.newPath) {
            throw .failed(operation: "fsync", path: folder.newPath, errno: number)
        }
        try folder.new.sync(folder.newPath)
    }
}
