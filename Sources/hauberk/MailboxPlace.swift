import Cluster
import Mail
import Membership

/// Where one mailbox is: its partition, and the nodes that own it.
struct MailboxPlace: Encodable {
    /// One storage node that has the mailbox, or will have it when mail comes.
    struct Owner: Encodable {
        let node: String
        let zone: String?
        let lmtp: String
        let pop3: String
        /// The mailbox's folder on that node.
        let folder: String
    }

    let mailbox: String
    let partition: Int
    let partitions: Int
    let epoch: UInt64
    /// The preferred one first.
    let owners: [Owner]

    init(_ mailbox: MailboxName, _ map: ClusterMap) {
        let partition = map.ring.partition(of: mailbox)
        self.mailbox = mailbox.description
        self.partition = partition
        partitions = map.ring.partitions
        epoch = map.epoch
        let (domain, local) = mailbox.pathComponents
        owners = map.ring.owners(ofPartition: partition).map { index in
            let node = map[index]
            return Owner(
                node: node.name, zone: node.zone, lmtp: node.lmtp.description, pop3: node.pop3.description,
                folder: "\(node.data)/mail/\(partition)/\(domain)/\(local)")
        }
    }

    var lines: [(String, String)] {
        [("mailbox", mailbox), ("partition", "\(partition) of \(partitions), epoch \(epoch)")]
            + owners.flatMap { owner in
                let zone = owner.zone.map { " (zone \($0))" } ?? ""
                return [
                    ("owner", "\(owner.node)\(zone)  lmtp \(owner.lmtp)  pop3 \(owner.pop3)"),
                    ("folder", owner.folder),
                ]
            }
    }
}
