//! How large an EC2 instance is, from the name of its type.

/// What a node of an instance type has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InstanceType {
    pub(super) architecture: &'static str,
    pub(super) cpus: u64,
    pub(super) memory_mib: u64,
}

/// The most pods a node takes: kubelet's default, and EKS's with prefix delegation on instances below 30 CPUs.
pub(super) const MAX_PODS: u64 = 110;

/// For types whose names say nothing.
const UNKNOWN: InstanceType = InstanceType {
    architecture: "amd64",
    cpus: 8,
    memory_mib: 32 * 1024,
};

impl InstanceType {
    /// Reads `m7g.2xlarge` as AWS builds its names: family letters, generation, attributes, size.
    pub(super) fn named(name: &str) -> Self {
        parse(name).unwrap_or(UNKNOWN)
    }

    /// CPU that is left for pods, in thousandths, after what EKS's AMI keeps for the system: 6% of the first CPU, 1% of
    /// the second, 0.5% of the next two, 0.25% of all others.
    pub(super) fn allocatable_millicpus(self) -> u64 {
        let reserved: f64 = (0..self.cpus)
            .map(|cpu| match cpu {
                0 => 60.0,
                1 => 10.0,
                2 | 3 => 5.0,
                _ => 2.5,
            })
            .sum();
        self.cpus * 1000 - reserved as u64
    }

    /// Memory that is left for pods, in MiB: EKS's AMI keeps 255 MiB and 11 MiB a pod, and kubelet evicts below 100 MiB.
    pub(super) fn allocatable_memory_mib(self) -> u64 {
        self.memory_mib
            .saturating_sub(255 + 11 * MAX_PODS + 100)
            .max(256)
    }
}

fn parse(name: &str) -> Option<InstanceType> {
    let (series, size) = name.split_once('.')?;
    let generation = series.find(|character: char| character.is_ascii_digit())?;
    let (family, rest) = series.split_at(generation);
    let attributes = rest.trim_start_matches(|character: char| character.is_ascii_digit());
    let burstable = family == "t";
    let cpus = match size {
        "nano" | "micro" | "small" => 2,
        "medium" if burstable => 2,
        "medium" => 1,
        "large" => 2,
        "xlarge" => 4,
        _ => 4 * size.strip_suffix("xlarge")?.parse::<u64>().ok()?,
    };
    let memory_mib = match (burstable, size) {
        (true, "nano") => 512,
        (true, "micro") => 1024,
        (true, "small") => 2 * 1024,
        (true, "medium") => 4 * 1024,
        _ => {
            let gib_per_cpu = match family.chars().next()? {
                'c' => 2,
                'r' | 'i' | 'z' => 8,
                'x' => 16,
                _ => 4,
            };
            cpus * gib_per_cpu * 1024
        }
    };
    // The attribute g is Graviton; in the families g and p the letter before the generation is for graphics.
    let architecture = if attributes.contains('g') || family == "a" {
        "arm64"
    } else {
        "amd64"
    };
    Some(InstanceType {
        architecture,
        cpus,
        memory_mib,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(name: &str) -> (&'static str, u64, u64) {
        let found = InstanceType::named(name);
        (found.architecture, found.cpus, found.memory_mib / 1024)
    }

    #[test]
    fn names_tell_architecture_and_size() {
        assert_eq!(sizes("m7g.2xlarge"), ("arm64", 8, 32));
        assert_eq!(sizes("c6gd.large"), ("arm64", 2, 4));
        assert_eq!(sizes("r6i.12xlarge"), ("amd64", 48, 384));
        assert_eq!(sizes("t3.medium"), ("amd64", 2, 4));
        assert_eq!(sizes("t4g.large"), ("arm64", 2, 8));
        assert_eq!(sizes("g5.xlarge"), ("amd64", 4, 16));
        assert_eq!(sizes("u-6tb1.metal"), ("amd64", 8, 32));
    }

    #[test]
    fn the_system_keeps_a_part() {
        let large = InstanceType::named("m5.large");
        assert_eq!(large.allocatable_millicpus(), 1930);
        assert_eq!(large.allocatable_memory_mib(), 8192 - 255 - 1210 - 100);
    }
}
