using System.Reflection;

namespace Shop;

/// <summary>Where things are: sources as they were when the shop was built, and this run's own folder.</summary>
internal sealed class ShopFolders : IDisposable
{
    // Readable by this user alone: the control plane's root key lies in it.
    private readonly DirectoryInfo _run = Directory.CreateTempSubdirectory("mesh-shop-");

    public string Shop { get; } = Metadata("ShopFolder");

    public string Repo { get; } = Metadata("RepoRoot");

    public string Configuration { get; } = Metadata("Configuration");

    public string Run => _run.FullName;

    /// <summary>The YAML that the control plane watches.</summary>
    public string Mesh => Path.Combine(Run, "mesh");

    public string Data => Path.Combine(Run, "data");

    public string Ledger => Path.Combine(Run, "ledger");

    /// <summary>Set when something went wrong: the logs are worth keeping.</summary>
    public bool Keep { get; set; }

    public string Log(string name) => Path.Combine(Directory.CreateDirectory(Path.Combine(Run, "logs")).FullName, $"{name}.log");

    public string Service(string project) => Path.Combine(Shop, "services", project, "bin", Configuration, "net10.0", $"Shop.{project}.dll");

    public string ControlPlane => Path.Combine(Repo, "src", "Mesh.ControlPlane", "bin", Configuration, "net10.0", "Mesh.ControlPlane.dll");

    public void Dispose()
    {
        if (Keep)
        {
            return;
        }

        try
        {
            _run.Delete(recursive: true);
        }
        catch (IOException)
        {
            // A file of a dying process: the system's temporary folder is swept by others too.
        }
    }

    private static string Metadata(string key) =>
        typeof(ShopFolders).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().First(attribute => attribute.Key == key).Value!;
}
