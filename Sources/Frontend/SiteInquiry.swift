import Cluster
import Hops
import Mail
import Membership
import NIOCore
import SMTP
import Wire

/// Another site's question about one mailbox, on its way to the mailbox's owners.
///
/// All of them are asked, and nobody in their place: what a stand-in keeps for an owner is not there to stay.
final class SiteInquiry {
    private let content: HopContent
    let name: MessageIdentity
    private let destinations: [Destination]
    private let frontend: FrontendContext
    private let eventLoop: any EventLoop
    private var text = ByteBuffer()
    private var isTooLong = false

    private static let notOne = Verdict.refused(
        Reason(554, "5.6.0", "a question is about one mailbox, and has few lines"))

    init(
        _ content: HopContent, named name: MessageIdentity, of destinations: [Destination], frontend: FrontendContext,
        eventLoop: any EventLoop
    ) {
        self.content = content
        self.name = name
        self.destinations = destinations
        self.frontend = frontend
        self.eventLoop = eventLoop
    }

    func append(_ piece: ByteBuffer) {
        guard text.readableBytes + piece.readableBytes <= SiteQuestion.bytesMax else { return isTooLong = true }
        text.writeImmutableBuffer(piece)
    }

    /// - Parameter then: told the verdict, once.
    func ask(then: @escaping (Verdict) -> Void) {
        guard !isTooLong, destinations.count == 1, let destination = destinations.first,
            let count = content == .digest ? 1 : SiteQuestion.names(Array(text.readableBytesView))?.count
        else { return then(Self.notOne) }
        let routes = frontend.routes
        let owners = routes.map.owners(of: destination.mailbox)
        var answers = SiteAnswers(owners: owners.count, quorum: frontend.durableCopies, count: count)
        var isTold = false
        let recipient = SMTPRecipient(address: destination.address, mailbox: destination.mailbox)
        for owner in owners {
            let transaction = NodeTransaction(identity: name, recipients: [recipient], content: content, body: text) {
                answers.answered($0.first ?? .deferred(.unexpected))
                guard !isTold, let verdict = answers.verdict else { return }
                isTold = true
                then(verdict)
            }
            routes.links[eventLoop][owner].submit(transaction)
        }
    }
}
