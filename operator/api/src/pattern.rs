//! Patterns of the strings that users write. The API server checks them on admission, so what gets in can be used in names and
//! requests as it is.

/// The pattern of a quantity with this sign.
macro_rules! quantity {
    ($sign:literal) => {
        concat!("^", $sign, r"(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$")
    };
}

/// Name of a Kubernetes object or of a list member: an RFC 1123 label.
pub const LABEL: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";
/// Name of a port: an IANA service name of at most 15 characters, with a letter in it and no two hyphens in a row.
pub const PORT_NAME: &str = "^([0-9]+-?)*[a-z](-?[a-z0-9])*$";
/// Name of a Kubernetes object that may hold dots: an RFC 1123 subdomain.
pub const SUBDOMAIN: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
/// A host name, with a wildcard allowed as its first label.
pub const HOST: &str = r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)+$";
/// A host name or an IP address.
pub const NETWORK_HOST: &str = r"^([A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?(\.[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?)*|[0-9a-fA-F:.]+)$";
/// A path as a rule of an Application Load Balancer matches it. Wildcards are not for users: what `Prefix` needs is added.
pub const LOAD_BALANCER_PATH: &str = r"^/[A-Za-z0-9_.$~'@:+&/-]*$";
/// Image of a container: no blanks. More only the registry knows.
pub const IMAGE: &str = "^[!-~]+$";
/// Name of an environment variable, as a shell can read it.
pub const ENV_NAME: &str = "^[A-Za-z_][A-Za-z0-9_]*$";
/// Name of an entry of a Secret.
pub const SECRET_KEY: &str = "^[-._a-zA-Z0-9]+$";
/// Id of a security group.
pub const SECURITY_GROUP_ID: &str = "^sg-[0-9a-f]+$";
/// Class of a load balancer: a label, with the domain of whoever makes it before it.
pub const LOAD_BALANCER_CLASS: &str = LABEL_KEY;
/// A URL of a server, without spaces.
pub const HTTP_URL: &str = r"^https?://[^\s]+$";
/// What an image that names a digest has to end with.
pub const DIGEST_RULE: &str =
    "!self.contains('@') || self.matches('@(sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128})$')";
/// What is said of that.
pub const DIGEST_MESSAGE: &str = "image names a digest that is none: write @sha256: and its 64 hexadecimal digits (docker buildx imagetools inspect shows them), or a tag";
/// Tag of an image.
pub const IMAGE_TAG: &str = "^[A-Za-z0-9_][A-Za-z0-9_.-]*$";
/// A duration as in GEP-2257: `90s`, `10m`, `1h30m`.
pub const DURATION: &str = "^([0-9]{1,5}(h|m|s|ms)){1,4}$";
/// Number of an AWS account.
pub const ACCOUNT_ID: &str = "^[0-9]{12}$";
/// Name of an AWS region.
pub const REGION: &str = "^[a-z]{2,4}(-[a-z]+)+-[0-9]$";
/// ARN of anything.
pub const ARN: &str = "^arn:aws[a-z-]*:[a-z0-9-]+:[a-z0-9-]*:([0-9]{12}|aws)?:.+$";
/// ARN of an IAM role.
pub const ROLE_ARN: &str = "^arn:aws[a-z-]*:iam::[0-9]{12}:role/.+$";
/// ARNs of IAM roles, with `*` for any text.
pub const ROLE_ARNS: &str = r"^arn:aws[a-z*-]*:iam::([0-9]{12}|\*):role/.+$";
/// Names of AWS resources, with `*` for any text.
pub const RESOURCE_NAMES: &str = r"^[A-Za-z0-9._*/-]+$";
/// ARN of a KMS key; an alias can be pointed elsewhere, so it does not do.
pub const KEY_ARN: &str = "^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[a-z0-9-]+$";
/// ARN of an ACM certificate.
pub const CERTIFICATE_ARN: &str = "^arn:aws[a-z-]*:acm:[a-z0-9-]+:[0-9]{12}:certificate/.+$";
/// Name of a group of load balancers, as the AWS Load Balancer Controller takes it.
pub const LOAD_BALANCER_GROUP: &str = "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$";
/// ARN of a CloudFront distribution. GovCloud has no CloudFront.
pub const DISTRIBUTION_ARN: &str = "^arn:aws(-cn)?:cloudfront::[0-9]{12}:distribution/[A-Z0-9]+$";
/// Instance type of EC2, such as `m7g.large`.
pub const INSTANCE_TYPE: &str = r"^[a-z][a-z0-9-]*\.[a-z0-9-]+$";
/// An IPv4 or IPv6 network in CIDR notation. The rule beside it parses it; this only bounds the characters.
pub const CIDR: &str = "^[0-9a-fA-F:.]+/[0-9]{1,3}$";
/// A whole number of GiB or TiB.
pub const STORAGE: &str = "^[1-9][0-9]*(Gi|Ti)$";
/// A window of the week in UTC, such as `sun:03:00-sun:04:00`.
pub const WEEKLY_WINDOW: &str = "^(mon|tue|wed|thu|fri|sat|sun):([01][0-9]|2[0-3]):[0-5][0-9]-(mon|tue|wed|thu|fri|sat|sun):([01][0-9]|2[0-3]):[0-5][0-9]$";
/// A window of the day in UTC, such as `02:00-03:00`.
pub const DAILY_WINDOW: &str = "^([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9]$";
/// A field of a pod that can be a file in it.
pub const POD_FIELD: &str =
    r"^metadata\.(name|namespace|uid|((labels|annotations)(\['[^']+'\])?))$";
/// A path in a volume: relative, and not out of it.
pub const RELATIVE_PATH: &str = r"^\.?[^/.][^/]*(/(\.?[^/.][^/]*|\.\.[^/]+))*$";
/// A quantity of Kubernetes, such as `250m` or `512Mi`.
pub const QUANTITY: &str = quantity!(r"(\+|-)?");
/// A quantity that is not negative.
pub const AMOUNT: &str = quantity!(r"\+?");
/// Key of a label: a name, with a domain before it or without.
pub const LABEL_KEY: &str =
    r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$";
/// Value of a label.
pub const LABEL_VALUE: &str = "^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$";
/// Name of a table or index of DynamoDB, which is also a name that an IAM policy can hold.
pub const TABLE_NAME: &str = "^[a-zA-Z0-9_.-]{3,255}$";
/// Name of a user of a cache: no two hyphens in a row, which ElastiCache refuses in ids.
pub const CACHE_USER: &str = "^[a-z][a-z0-9]*(-[a-z0-9]+)*$";
/// Access string of a cache user. Words that set a password, such as `>secret`, are not among those it knows.
pub const ACCESS_STRING: &str =
    r"^(on|off)( (~[^ ]+|%(R|W|RW)~[^ ]+|&[^ ]+|[+-]@?[a-z][a-z0-9|_-]*))*$";
