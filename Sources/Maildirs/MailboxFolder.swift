import Glibc
package import Mail

/// Where a copy of a mailbox lies below the root, with `tmp`, `new`, `cur` and `gone` in it:
/// `mail/<partition>/<domain>/<mailbox>` for a mailbox of this node,
/// `spool/handoff-<node>/<partition>/<domain>/<mailbox>` for what waits for another node.
///
/// Both have the same layout, so that what waits is listed, deleted from and carried over by the same code.
struct MailboxFolder: Hashable, Sendable {
    /// Relative to the root.
    let path: String

    static let mail = "mail"
    static let spool = "spool"
    static let parts = ["tmp", "new", "cur", "gone"]

    init(_ mailbox: MailboxName, partition: Int, heldFor target: SpoolTarget? = nil) {
        self.init(mailbox, partition: partition, below: Self.top(target))
    }

    /// In the same layout below another folder of the root.
    init(_ mailbox: MailboxName, partition: Int, below top: String) {
        let components = mailbox.pathComponents
        path = "\(top)/\(partition)/\(components.domain)/\(components.mailbox)"
    }

    /// A folder found by walking the store.
    init(path: String) { self.path = path }

    /// What holds all mailboxes of this node, or all that waits for another.
    static func top(_ target: SpoolTarget?) -> String { target.map { "\(spool)/\($0.folder)" } ?? mail }

    /// For whom it is kept; nil for a mailbox of this node.
    var target: SpoolTarget? {
        let parts = path.split(separator: "/", maxSplits: 2)
        guard parts.count == 3, parts[0] == Self.spool else { return nil }
        return SpoolTarget(folder: String(parts[1]))
    }

    /// Whether it holds what waits for another site.
    var isOfSite: Bool { path.hasPrefix("\(Self.spool)/\(SpoolTarget.Kind.site.rawValue)-") }

    /// Takes a path that `init` made back apart. Nil for a folder that is not a mailbox's.
    var key: MailboxKey? {
        let parts = path.split(separator: "/").suffix(3).map(String.init)
        guard parts.count == 3, let partition = Int(parts[0]), String(partition) == parts[0],
            let mailbox = MailboxName(domainComponent: parts[1], mailboxComponent: parts[2])
        else { return nil }
        return MailboxKey(mailbox: mailbox, partition: partition)
    }

    /// The mailbox's own folder; a symbolic link in its place is refused.
    func open(in root: OpenFile) throws(MaildirError) -> OpenFile {
        try OpenFile.openDirectory(path, in: root.descriptor)
    }

    /// Nil where nothing was delivered yet. Before that is believed, each folder on the way is opened: an NFS client may
    /// remember that a name was missing, until it looks at the folder anew.
    func openIfThere(in root: OpenFile) throws(MaildirError) -> OpenFile? {
        if let known = try ifThere({ () throws(MaildirError) in try open(in: root) }) { return known }
        return try ifThere { () throws(MaildirError) in
            var directory = try OpenFile.openDirectory(".", in: root.descriptor)
            for component in path.split(separator: "/") {
                directory = try OpenFile.openDirectory(String(component), in: directory.descriptor)
            }
            return directory
        }
    }

    /// Removes it and what holds it as far as they are empty, from the inside out. `tmp/` goes first: a delivery that is under
    /// way keeps the mailbox there, and one that comes later makes anew what is missing. Whether the mailbox's own folder is gone.
    @discardableResult
    func removeEmpty(in root: OpenFile) throws(MaildirError) -> Bool {
        var paths = Self.parts.map { "\(path)/\($0)" }
        var components = path.split(separator: "/")
        while components.count > 1 {
            paths.append(components.joined(separator: "/"))
            components.removeLast()
        }
        for (number, path) in paths.enumerated() where unlinkat(root.descriptor, path, AT_REMOVEDIR) != 0 {
            if errno == ENOTEMPTY || errno == EEXIST { return number > Self.parts.count }
            if errno != ENOENT { throw .failed("rmdir", path) }
        }
        return true
    }

    /// Makes the names of messages and tombstones durable: who made them may have died before, or not be so far yet.
    static func syncNames(in mailbox: OpenFile, _ core: StoreCore) throws(MaildirError) {
        for part in parts where part != "tmp" {
            try core.options.faults?.check(.syncDirectory, part)
            _ = try ifThere { () throws(MaildirError) in
                try OpenFile.openDirectory(part, in: mailbox.descriptor).sync(part)
            }
        }
    }
}

/// A mailbox and its partition, which together say where it lies.
package struct MailboxKey: Hashable, Sendable {
    package let mailbox: MailboxName
    package let partition: Int

    package init(mailbox: MailboxName, partition: Int) {
        self.mailbox = mailbox
        self.partition = partition
    }
}

/// Nil where `body` failed because there is no such file or directory.
func ifThere<Value>(_ body: () throws(MaildirError) -> Value) throws(MaildirError) -> Value? {
    do throws(MaildirError) {
        return try body()
    } catch {
        if error.errorNumber == ENOENT { return nil }
        throw error
    }
}
