using System.Runtime.InteropServices;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Mesh.Identity;

namespace Mesh.Cli.Agent;

/// <summary>tls.crt, tls.key and ca.crt in a folder, replaced all at once: a reader never sees the key of one certificate beside another.</summary>
/// <remarks>As Kubernetes mounts secrets: each file is a link to <c>..data/FILE</c>, and <c>..data</c> a link to the folder of one generation, moved by one rename(2).</remarks>
internal sealed partial class IdentityFiles(string folder)
{
    private const string Current = "..data";
    private static readonly string[] _names = ["tls.crt", "tls.key", "ca.crt"];

    public string Folder => folder;

    public void Write(WorkloadIdentity identity)
    {
        Directory.CreateDirectory(folder);
        var generation = $"..{Guid.NewGuid():N}";
        var target = Path.Combine(folder, generation);
        CreatePrivateFolder(target);
        WriteFile(target, _names[0], Pem([identity.Svid.Leaf, .. identity.Svid.Intermediates]));
        using (var key = identity.Svid.Leaf.GetECDsaPrivateKey() ?? throw new CliException(
            ExitCodes.Failure, "the certificate has no private key", "only EC keys are written", "report this: it is a defect"))
        {
            WriteFile(target, _names[1], key.ExportPkcs8PrivateKeyPem() + "\n");
        }

        WriteFile(target, _names[2], Pem(identity.Bundle.Roots));

        var old = new FileInfo(Path.Combine(folder, Current)).LinkTarget;
        Link(Current, generation);
        foreach (var name in _names)
        {
            Link(name, Path.Combine(Current, name));
        }

        Clear(generation, old);
    }

    /// <summary>Removes what nobody can still be reading. The generation before the current one stays: a reader that followed the link a moment ago finds all of it.</summary>
    private void Clear(params string?[] kept)
    {
        foreach (var each in new DirectoryInfo(folder).GetDirectories("..*"))
        {
            if (each.LinkTarget is null && Guid.TryParseExact(each.Name[2..], "N", out _) && !kept.Contains(each.Name))
            {
                each.Delete(recursive: true);
            }
        }
    }

    /// <summary>Points a link of the folder at <paramref name="target"/>; readers see the old or the new, never none.</summary>
    private void Link(string name, string target)
    {
        var link = Path.Combine(folder, name);
        if (new FileInfo(link).LinkTarget == target)
        {
            return;
        }

        var next = $"{link}_next";
        File.Delete(next);
        File.CreateSymbolicLink(next, target);
        // File.Move follows a link to a folder and then finds no file.
        if (Rename(next, link) != 0)
        {
            throw new IOException($"{link} could not be replaced (errno {Marshal.GetLastPInvokeError()}). Is it a folder? Remove it, or give another --out.");
        }
    }

    [LibraryImport("libc", EntryPoint = "rename", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Rename(string from, string to);

    private static void CreatePrivateFolder(string path)
    {
        if (OperatingSystem.IsWindows())
        {
            Directory.CreateDirectory(path);
            return;
        }

        Directory.CreateDirectory(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }

    private static void WriteFile(string target, string name, string text)
    {
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
        {
            // Set at creation: there is no moment in which others could read the key.
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }

        using var file = new FileStream(Path.Combine(target, name), options);
        file.Write(Encoding.ASCII.GetBytes(text));
        file.Flush(flushToDisk: true);
    }

    private static string Pem(IEnumerable<X509Certificate2> certificates) =>
        string.Concat(certificates.Select(certificate => certificate.ExportCertificatePem() + "\n"));
}
