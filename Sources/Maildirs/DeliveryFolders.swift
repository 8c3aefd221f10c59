import Glibc
import Synchronization

/// A mailbox's `tmp/` and `new/`, held open for deliveries; both are known to survive a power cut.
final class DeliveryFolder: Sendable {
    let folder: MailboxFolder
    let tmp: OpenFile
    let new: OpenFile
    /// Of `new/`, from the store's root.
    let newPath: String
    private let device: UInt64
    private let inode: UInt64

    init(_ folder: MailboxFolder, mailbox: OpenFile) throws(MaildirError) {
        self.folder = folder
        newPath = "\(folder.path)/new"
        tmp = try OpenFile.openDirectory("tmp", in: mailbox.descriptor)
        new = try OpenFile.openDirectory("new", in: mailbox.descriptor)
        let status = try new.status()
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
    }

    /// Whether `new/` is still what lies at the mailbox's path: an operator may have moved or restored the mailbox.
    func isCurrent(in root: OpenFile) -> Bool {
        var status = stat()
        let isThere = newPath.withCString { fstatat(root.descriptor, $0, &status, AT_SYMLINK_NOFOLLOW) == 0 }
        return isThere && UInt64(status.st_dev) == device && UInt64(status.st_ino) == inode
    }
}

/// Keeps the folders of the mailboxes that were delivered to last open: looking whether one is still right costs one
/// system call, opening it anew five.
final class DeliveryFolders: Sendable {
    private let maker = FolderMaker()
    private let opened: Mutex<LRUCache<MailboxFolder, DeliveryFolder>>

    init(max: Int) { opened = Mutex(LRUCache(costMax: max)) }

    /// The mailbox's folders, made if they are missing.
    func open(_ folder: MailboxFolder, in root: OpenFile) throws(MaildirError) -> DeliveryFolder {
        if let known = opened.withLock({ $0.value(for: folder) }), known.isCurrent(in: root) { return known }
        let fresh = try withMade(folder, in: root) { mailbox throws(MaildirError) in
            try DeliveryFolder(folder, mailbox: mailbox)
        }
        opened.withLock { $0.insert(fresh, for: folder, cost: 1) }
        return fresh
    }

    /// The mailbox's own folder, durable with all its parts.
    func make(_ folder: MailboxFolder, in root: OpenFile) throws(MaildirError) -> OpenFile {
        try maker.open(folder, in: root)
    }

    /// Has `work` done in the mailbox's own folder, and again in a new one if it was removed meanwhile because it was empty.
    func withMade<Value>(
        _ folder: MailboxFolder, in root: OpenFile, _ work: (OpenFile) throws(MaildirError) -> Value
    ) throws(MaildirError) -> Value {
        try FolderMaker.retrying { isFirst throws(MaildirError) in
            try work(maker.open(folder, in: root, isKnown: isFirst))
        }
    }

    /// A folder of the same layout that has no parts, durable.
    func makePlain(_ folder: MailboxFolder, in root: OpenFile) throws(MaildirError) -> OpenFile {
        try maker.way(to: folder, in: root)
    }

    /// Forgets a folder whose handle failed.
    func close(_ folder: MailboxFolder) {
        opened.withLock { $0.remove(folder) }
    }
}
