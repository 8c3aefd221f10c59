import Glibc
import Mail

/// Where a mailbox lies below the root: `mail/<partition>/<domain>/<mailbox>`, with `tmp`, `new`, `cur` and `gone` in it.
struct MailboxFolder: Hashable, Sendable {
    /// Relative to the root.
    let path: String

    static let mail = "mail"
    static let parts = ["tmp", "new", "cur", "gone"]

    init(_ mailbox: MailboxName, partition: Int) {
        let components = mailbox.pathComponents
        path = "\(Self.mail)/\(partition)/\(components.domain)/\(components.mailbox)"
    }

    /// A folder found by walking the store.
    init(path: String) { self.path = path }

    /// The mailbox's own folder; a symbolic link in its place is refused.
    func open(in root: OpenFile) throws(MaildirError) -> OpenFile {
        try OpenFile.openDirectory(path, in: root.descriptor)
    }

    /// Nil where nothing was delivered yet.
    func openIfThere(in root: OpenFile) throws(MaildirError) -> OpenFile? {
        try ifThere { () throws(MaildirError) in try open(in: root) }
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
