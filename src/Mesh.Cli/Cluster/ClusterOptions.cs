using System.CommandLine;
using Mesh.ControlPlane.Sources.Kubernetes;

namespace Mesh.Cli.Cluster;

/// <summary>Which cluster, and as whom: <c>--kubeconfig</c> and <c>--context</c>, else what kubectl would use.</summary>
internal sealed class ClusterOptions(CliContext context)
{
    private readonly Option<string?> _kubeconfig = new("--kubeconfig") { Description = "The kubeconfig file [KUBECONFIG, ~/.kube/config]" };
    private readonly Option<string?> _context = new("--context") { Description = "Its context (default: the current one)" };

    public void AddTo(Command command)
    {
        command.Options.Add(_kubeconfig);
        command.Options.Add(_context);
    }

    /// <summary>A cluster is named, or there is a file of kubectl's.</summary>
    public bool IsNamed(ParseResult result) => result.GetValue(_kubeconfig) is { Length: > 0 } || result.GetValue(_context) is { Length: > 0 } || File(result) is not null;

    /// <summary>It was asked for by name, and not just found.</summary>
    public bool IsGiven(ParseResult result) => result.GetValue(_kubeconfig) is { Length: > 0 } || result.GetValue(_context) is { Length: > 0 };

    public KubeApi Open(ParseResult result)
    {
        if (!IsNamed(result))
        {
            throw new CliException(ExitCodes.Usage, "no cluster was named", "there is no kubeconfig: neither --kubeconfig nor KUBECONFIG is set, and ~/.kube/config does not exist", "mesh … --kubeconfig FILE");
        }

        try
        {
            return KubeApi.FromKubeconfig(File(result), result.GetValue(_context), context.Time);
        }
        catch (InvalidDataException e)
        {
            throw new CliException(ExitCodes.BadInput, "the cluster can't be asked", e.Message, "kubectl config view shows what is there", e);
        }
    }

    private string? File(ParseResult result)
    {
        if (result.GetValue(_kubeconfig) is { Length: > 0 } given)
        {
            return given;
        }

        // Several files are kubectl's to merge: the first is taken.
        if (context.Environment("KUBECONFIG")?.Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries) is [var first, ..])
        {
            return first;
        }

        return context.Environment("HOME") is { Length: > 0 } home && Path.Combine(home, ".kube", "config") is var standard && System.IO.File.Exists(standard) ? standard : null;
    }
}
