import Glibc
package import Mail

// | done                     | on disk after a crash      | why that is safe                                   |
// |--------------------------|----------------------------|----------------------------------------------------|
// | opened, written          | a file in tmp/             | nobody was told; it is removed after 36 hours      |
// | synced, linked into new/ | in tmp/, in new/ or not    | nobody was told                                    |
// | new/ synced              | in new/, perhaps in tmp/   | the message is there; now the sender may hear of it |
// | unlinked from tmp/       | in new/                    | the same                                           |

/// One message on its way into a Maildir: `tmp/`, sync, link into `new/`, sync of the directory, as NFS allows it.
///
/// What is let go without `commit` leaves nothing behind.
package final class MaildirDelivery {
    private let maildir: Maildir
    private let tmp: OpenFile
    private let file: OpenFile
    private let temporary: String
    private let name: MessageIdentity
    private var size = WireSize()

    init(_ maildir: Maildir) throws(MaildirError) {
        self.maildir = maildir
        // The form of a tombstone's name is that of a message's.
        name = maildir.names.tombstone()
        temporary = maildir.names.temporary(for: name)
        tmp = try OpenFile.openDirectory("tmp", in: maildir.directory.descriptor)
        file = try OpenFile.open(temporary, in: tmp.descriptor, flags: O_WRONLY | O_CREAT | O_EXCL, mode: 0o600)
    }

    deinit { unlinkat(tmp.descriptor, temporary, 0) }

    /// Appends bytes with LF line ends.
    package func append(_ bytes: [UInt8]) throws(MaildirError) {
        try file.write(bytes, name: "tmp/\(temporary)")
        size.add(bytes)
    }

    /// What the file will be called in `new/`: its sizes are in its name.
    ///
    /// - Parameter stem: what the name begins with, if the message must have one of its own; nil for a new name.
    package func fileName(as stem: MessageIdentity? = nil) -> String {
        MessageFileName(identity: stem ?? name, diskOctets: size.diskOctets, wireOctets: size.wireOctets).text
    }

    /// Makes the message durable and visible. Whoever is told of it afterwards may rely on it.
    ///
    /// - Returns: its name; nil if another message has that name, so that this one is there already.
    package func commit(as stem: MessageIdentity? = nil) throws(MaildirError) -> String? {
        try file.sync("tmp/\(temporary)")
        let fileName = fileName(as: stem)
        let new = try OpenFile.openDirectory("new", in: maildir.directory.descriptor)
        let outcome = try ExclusiveLink.make(file, at: temporary, in: tmp, as: fileName, in: new)
        try new.sync("new")
        return outcome == .made ? "new/\(fileName)" : nil
    }
}
