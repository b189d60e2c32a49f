using System.CommandLine;
using Mesh.Cli.Inject;
using Mesh.ControlPlane.Injector;
using Mesh.ControlPlane.Install;
using Mesh.ControlPlane.Sources;
using Mesh.ControlPlane.Sources.Manifests;

namespace Mesh.Cli.Commands;

/// <summary><c>mesh inject</c>: has the workloads of manifests ask for the mesh, or puts it into them at once. Asks no cluster.</summary>
internal static class InjectCommand
{
    public static Command Create(CliContext context)
    {
        var input = new InputFiles();
        var manual = new Option<bool>("--manual") { Description = "Write the sidecar into the manifests, for clusters without the webhook" };
        var library = new Option<bool>("--library") { Description = "For programs that are in the mesh by the packages: token and environment, no sidecar" };
        var set = new Option<string[]>("--set") { Description = "NAME=VALUE: an annotation of meshlib.io, such as skip-outbound-ports=5432" };
        var values = new Option<string?>("--values") { Description = "What 'mesh install' was given (the ConfigMap mesh-config's values.yaml), for --manual" };
        var command = new Command("inject", "Adds workloads of manifests to the mesh: reads YAML, writes it to standard output. Pods that run are not touched.") { manual, library, set, values };
        input.AddTo(command);
        command.SetAction(async (result, cancellationToken) =>
        {
            var settings = Settings(result.GetValue(set) ?? []);
            if (result.GetValue(library))
            {
                settings[Annotations.Inject] = "library";
            }

            var installed = await ValuesAsync(result.GetValue(values), cancellationToken);
            var isManual = result.GetValue(manual);
            var texts = new List<string>();
            foreach (var (name, text) in await input.ReadAsync(result, context, cancellationToken))
            {
                var stream = new ManifestStream(name, text);
                stream.ForEach(pod => Change(pod, settings, installed, isManual, context), subject => context.Error.WriteLine($"{subject} skipped: no workload"));
                texts.Add(stream.Text);
            }

            await context.Out.WriteAsync(InputFiles.Join(texts));
            return ExitCodes.Ok;
        });
        return command;
    }

    private static PodChange Change(ManifestPod manifest, Dictionary<string, string> settings, InjectionValues values, bool manual, CliContext context)
    {
        // What its owner has decided stays: library, and disabled too.
        if (!settings.ContainsKey(Annotations.Inject) && InjectModes.Of(manifest.Pod.Object("metadata").Texts("annotations").GetValueOrDefault(Annotations.Inject) ?? string.Empty) is null)
        {
            settings = new(settings, StringComparer.Ordinal) { [Annotations.Inject] = "enabled" };
        }

        // As it is with the annotations: what the webhook would see.
        var asking = new JsonPatch(manifest.Pod);
        foreach (var (name, value) in settings)
        {
            asking.Set(value, "metadata", "annotations", name);
        }

        var injection = PodPatch.Of(asking.Document, manifest.Namespace, values, manifest.Workload);
        if (injection.Skip is { } skip)
        {
            context.Error.WriteLine($"{manifest.Subject} skipped: {skip.Reason}: {skip.Message}");
            return PodChange.None;
        }

        context.Error.WriteLine($"{manifest.Subject} {(manual ? "injected" : "annotated")}");
        foreach (var warning in injection.Warnings)
        {
            context.Error.WriteLine($"  {(context.HasUnicode ? "‼" : "warning:")} {warning}");
        }

        return manual
            ? new PodChange(null, injection.Pod)
            : new PodChange((edits, template) => edits.Annotate(template, settings), asking.Document);
    }

    private static Dictionary<string, string> Settings(IEnumerable<string> assignments)
    {
        var settings = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var assignment in assignments)
        {
            var at = assignment.IndexOf('=', StringComparison.Ordinal);
            var name = at < 0 ? assignment : assignment[..at];
            name = name.StartsWith(Annotations.Domain + "/", StringComparison.Ordinal) ? name[(Annotations.Domain.Length + 1)..] : name;
            if (at < 0 || SidecarSetting.Find(name) is not { } setting)
            {
                throw new CliException(ExitCodes.Usage, $"--set does not take '{assignment}'", at < 0 ? "there is no '=' in it" : $"'{name}' is no annotation of {Annotations.Domain} for pods",
                    $"--set NAME=VALUE with one of {string.Join(", ", Annotations.SidecarSettings)}.{Suggestion.For(name, Annotations.SidecarSettings)}");
            }

            var value = assignment[(at + 1)..];
            setting.Apply(new SidecarSettings(), value, out var problem);
            if (problem is not null)
            {
                throw new CliException(ExitCodes.Usage, $"--set does not take '{assignment}'", $"'{value}' is none of its values", problem);
            }

            settings[setting.Annotation] = value;
        }

        return settings;
    }

    private static async Task<InjectionValues> ValuesAsync(string? file, CancellationToken cancellationToken)
    {
        if (file is null)
        {
            return new InjectionValues();
        }

        var problems = new List<string>();
        try
        {
            var read = InjectionValues.Read(YamlJson.Parse(await File.ReadAllTextAsync(file, cancellationToken)) is [var first, ..] ? first : [], problems);
            return problems.Count == 0 ? read : throw Bad(file, string.Join(' ', problems));
        }
        catch (Exception e) when (e is YamlDotNet.Core.YamlException or FileNotFoundException or DirectoryNotFoundException)
        {
            throw Bad(file, e.Message);
        }
    }

    private static CliException Bad(string file, string why) => new(ExitCodes.BadInput, $"the values of '{file}' can't be used", why, "give the values.yaml of the ConfigMap mesh-config in namespace mesh-system");
}
