using System.CommandLine;
using Mesh.Cli.Inject;
using Mesh.ControlPlane.Injector;

namespace Mesh.Cli.Commands;

/// <summary><c>mesh uninject</c>: takes out of manifests what <c>mesh inject</c> put into them. Asks no cluster.</summary>
internal static class UninjectCommand
{
    public static Command Create(CliContext context)
    {
        var input = new InputFiles();
        var command = new Command("uninject", "Takes workloads of manifests out of the mesh: annotations, and a sidecar that stands there. Pods that run are not touched.");
        input.AddTo(command);
        command.SetAction(async (result, cancellationToken) =>
        {
            var texts = new List<string>();
            foreach (var (name, text) in await input.ReadAsync(result, context, cancellationToken))
            {
                var stream = new ManifestStream(name, text);
                stream.ForEach(pod => Change(pod, context), subject => context.Error.WriteLine($"{subject} skipped: no workload"));
                texts.Add(stream.Text);
            }

            await context.Out.WriteAsync(InputFiles.Join(texts));
            return ExitCodes.Ok;
        });
        return command;
    }

    private static PodChange Change(ManifestPod manifest, CliContext context)
    {
        var bare = PodUnpatch.Of(manifest.Pod);
        if (PodUnpatch.IsPatched(manifest.Pod))
        {
            context.Error.WriteLine($"{manifest.Subject} uninjected");
            return new PodChange(null, bare);
        }

        if (!manifest.Pod.Object("metadata").Texts("annotations").Keys.Any(PodUnpatch.IsOurs))
        {
            context.Error.WriteLine($"{manifest.Subject} skipped: it has nothing of the mesh");
            return PodChange.None;
        }

        context.Error.WriteLine($"{manifest.Subject} uninjected");
        return new PodChange((edits, template) => edits.RemoveAnnotations(template, PodUnpatch.IsOurs), bare);
    }
}
