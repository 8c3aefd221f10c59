import Foundation
import Mail
import Maildirs
import Testing

@Suite("A plain Maildir")
final class MaildirTests {
    private let path = NSTemporaryDirectory() + "maildir-\(UUID().uuidString)"
    private let maildir: Maildir

    init() throws {
        try Maildir.make(path)
        maildir = try Maildir(path)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    private func put(_ text: String, _ name: String, age: Int = 10) throws {
        let file = "\(path)/\(name)"
        try Data(text.utf8).write(to: URL(fileURLWithPath: file))
        setAge(file, seconds: age)
    }

    private func setAge(_ file: String, seconds: Int) {
        let then = time(nil) - seconds
        var times = [timeval(tv_sec: then, tv_usec: 0), timeval(tv_sec: then, tv_usec: 0)]
        #expect(utimes(file, &times) == 0)
    }

    private func scanned() throws -> [String] { try maildir.scan().map { String(decoding: $0.name, as: UTF8.self) } }

    @Test("It is made for its owner alone, and never over one that is there")
    func make() throws {
        for part in ["", "/tmp", "/new", "/cur"] {
            let attributes = try FileManager.default.attributesOfItem(atPath: path + part)
            #expect(attributes[.posixPermissions] as? Int == 0o700)
        }
        #expect(throws: MaildirError.failed(operation: "mkdir", path: path, errno: EEXIST)) { try Maildir.make(path) }
    }

    @Test("A scan tells new and cur together, oldest first, without dot files, folders and files of this second")
    func scan() throws {
        try put("", "new/b", age: 20)
        try put("", "cur/a:2,S", age: 30)
        try put("", "new/c", age: 10)
        try put("", "new/.hidden", age: 10)
        try put("", "new/future", age: -3600)
        try FileManager.default.createDirectory(atPath: "\(path)/new/folder", withIntermediateDirectories: false)
        setAge("\(path)/new/folder", seconds: 100)
        #expect(try scanned() == ["cur/a:2,S", "new/b", "new/c"])
    }

    @Test("Files of one second are in the order of their names")
    func sameSecond() throws {
        for name in ["c", "a", "b"] { try put("", "new/\(name)") }
        #expect(try scanned() == ["new/a", "new/b", "new/c"])
    }

    @Test("What lay in tmp for 36 hours is removed, and nothing else")
    func staleTmp() throws {
        try put("", "tmp/old", age: 37 * 3600)
        try put("", "tmp/young", age: 35 * 3600)
        try put("", "new/old", age: 37 * 3600)
        try maildir.removeStaleTmp()
        #expect(try FileManager.default.contentsOfDirectory(atPath: "\(path)/tmp") == ["young"])
        #expect(try scanned() == ["new/old"])
    }

    @Test("The envelope is the first two lines, and the text begins behind them")
    func envelope() throws {
        try put("Return-Path: <a@b>\nDelivered-To: bob-c@d\nSubject: x\n", "new/m")
        let message = try maildir.open(Array("new/m".utf8))
        let envelope = try #require(message.envelope)
        #expect(envelope.sender == Array("a@b".utf8) && envelope.deliveredTo == Array("bob-c@d".utf8))
        #expect(envelope.recipient(without: Array("bob-".utf8)) == Array("c@d".utf8))
        #expect(envelope.recipient(without: Array("bobby".utf8)) == nil)
        #expect(try message.piece(at: message.textStart) == Array("Subject: x\n".utf8))
        #expect(try message.piece(at: message.size).isEmpty)
    }

    @Test(
        "Other first lines are no envelope",
        arguments: [
            "", "\n\n", "Return-Path: <a@b>\n", "Return-Path: <a@b>\nDelivered-To: c@d",
            "Return-Path: a@b\nDelivered-To: c\n",
            "Return-Path: <a@b\nDelivered-To: c\n", "Delivered-To: c\nReturn-Path: <a@b>\n",
            "Return-Path: <\nDelivered-To: c\n", "Return-Path: <a\0b>\nDelivered-To: c\n",
            "Return-Path: <" + String(repeating: "a", count: 20_000) + ">\nDelivered-To: c\n",
        ])
    func noEnvelope(text: String) throws {
        try put(text, "new/m")
        let message = try maildir.open(Array("new/m".utf8))
        #expect(message.envelope == nil && message.textStart == 0 && message.size == text.utf8.count)
    }

    @Test("Links, folders and FIFOs are no messages, and hold nobody up")
    func otherFiles() throws {
        try put("x", "new/m")
        #expect(symlink("\(path)/new/m", "\(path)/new/link") == 0)
        #expect(mkfifo("\(path)/new/fifo", 0o600) == 0)
        for name in ["new/link", "new/fifo", "new", "new/none"] {
            #expect(throws: MaildirError.self) { try maildir.open(Array(name.utf8)) }
        }
    }

    @Test("A delivery is in new with its sizes in its name, and nothing stays in tmp")
    func deliver() throws {
        let delivery = try maildir.deliver()
        try delivery.append(Array("a\nb\n".utf8))
        let name = try #require(try delivery.commit())
        withExtendedLifetime(delivery) {}
        #expect(name.hasPrefix("new/") && name.hasSuffix(",S=4,W=6"))
        #expect(try String(contentsOfFile: "\(path)/\(name)", encoding: .utf8) == "a\nb\n")
    }

    @Test("A delivery that is let go leaves nothing behind, and one that is done nothing in tmp")
    func abandoned() throws {
        for isCommitted in [false, true] {
            do {
                let delivery = try maildir.deliver()
                try delivery.append(Array("x".utf8))
                if isCommitted { _ = try delivery.commit() }
            }
            #expect(try FileManager.default.contentsOfDirectory(atPath: "\(path)/tmp").isEmpty)
            #expect(try maildir.fileNames().count == (isCommitted ? 1 : 0))
        }
    }

    @Test("A name of its own is taken once; another text under it is another file")
    func ownName() throws {
        let stem = try #require(MessageIdentity("pop.1"))
        func deliver(_ text: String) throws -> String? {
            let delivery = try maildir.deliver()
            try delivery.append(Array(text.utf8))
            return try delivery.commit(as: stem)
        }
        #expect(try deliver("x\n") == "new/pop.1,S=2,W=3")
        #expect(try deliver("x\n") == nil)
        #expect(try deliver("yy\n") == "new/pop.1,S=3,W=4")
        #expect(rename("\(path)/new/pop.1,S=2,W=3", "\(path)/cur/pop.1,S=2,W=3:2,S") == 0)
        #expect(try maildir.fileNames() == ["pop.1,S=2,W=3", "pop.1,S=3,W=4"])
    }

    @Test("A Maildir may be named by a symbolic link; what is none is an error")
    func link() throws {
        #expect(symlink(path, "\(path)-link") == 0)
        defer { unlink("\(path)-link") }
        try put("", "new/a")
        #expect(try Maildir("\(path)-link").scan().count == 1)
        #expect(throws: MaildirError.self) { try Maildir("\(path)-none") }
    }
}
