using Google.Protobuf;
using Mesh.ControlPlane.Injector;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Sources;
using Mesh.ControlPlane.Sources.Files;
using Mesh.ControlPlane.Sources.Kubernetes;
using Mesh.ControlPlane.Translation;
using Mesh.Spiffe;
using Mesh.Xds.Decoding;

namespace Mesh.ControlPlane.Hosting;

/// <summary>What a source is made from.</summary>
/// <param name="Kube">The cluster's API server; null: models come from files.</param>
/// <param name="Overlay">What the control plane adds to files; null: nothing.</param>
internal sealed record ModelSourceContext(MeshControlPlaneOptions Options, IMeshMarks Marks, ModelStore Store, TimeProvider Time, ILoggerFactory Loggers, KubeApi? Kube = null, ManifestOverlay? Overlay = null);

/// <summary>The parts that other rooms write, put together in one place.</summary>
internal sealed record ControlPlaneParts(
    Func<ModelSourceContext, IModelSource> Source, Func<MeshControlPlaneOptions, IResourceTranslator> Translator, Func<string, ByteString, DecodeResult> Decode)
{
    /// <summary>What the webhooks rest on; null: there are none.</summary>
    public InjectorParts? Injector { get; init; }

    /// <summary>Used by the program and by AddMeshControlPlane.</summary>
    public static ControlPlaneParts Default { get; } = new(
        static context => context.Kube is { } kube
            ? new KubernetesSource(
                new KubernetesSourceOptions { TrustDomain = TrustDomain.Parse(context.Options.TrustDomain) },
                kube, context.Marks, context.Store, context.Time, new Random(), context.Loggers.CreateLogger<KubernetesSource>())
            : new FileSource(
                new FileSourceOptions { Folder = context.Options.ConfigFolder, TrustDomain = TrustDomain.Parse(context.Options.TrustDomain) },
                context.Marks, context.Store, context.Time, context.Loggers.CreateLogger<FileSource>(), overlay: context.Overlay),
        static options => new ResourceTranslator(new TranslationOptions(TrustDomain.Parse(options.TrustDomain), options.ClusterDomain) { Defaults = options.Defaults }),
        ResourceDecoder.Decode);
}
