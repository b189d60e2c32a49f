using System.Security.Cryptography.X509Certificates;
using Mesh.Identity;
using Mesh.Spiffe;
using Mesh.Testing;

namespace Mesh.Benchmarks;

/// <summary>One trust domain with a client and a server, shared by the two processes as files.</summary>
internal sealed record Certificates(WorkloadIdentity Client, WorkloadIdentity Server)
{
    public static Certificates Create(string folder)
    {
        var ca = new TestCa("cluster.local");
        foreach (var name in (string[])["client", "server"])
        {
            var leaf = ca.Identity("bench", name).Svid.Leaf;
            File.WriteAllText(Path.Combine(folder, name + ".crt"), leaf.ExportCertificatePem());
            File.WriteAllText(Path.Combine(folder, name + ".key"), leaf.GetECDsaPrivateKey()!.ExportPkcs8PrivateKeyPem());
        }

        File.WriteAllText(Path.Combine(folder, "root.crt"), ca.Root.ExportCertificatePem());
        return Load(folder);
    }

    public static Certificates Load(string folder)
    {
        var bundle = new TrustBundle(TrustDomain.Parse("cluster.local"), [X509CertificateLoader.LoadCertificateFromFile(Path.Combine(folder, "root.crt"))]);
        return new Certificates(Read(folder, "client", bundle), Read(folder, "server", bundle));
    }

    private static WorkloadIdentity Read(string folder, string name, TrustBundle bundle)
    {
        var leaf = X509Certificate2.CreateFromPemFile(Path.Combine(folder, name + ".crt"), Path.Combine(folder, name + ".key"));
        return new WorkloadIdentity(new X509Svid(SpiffeId.ForServiceAccount(bundle.TrustDomain, "bench", name), leaf, []), bundle, 1);
    }
}
