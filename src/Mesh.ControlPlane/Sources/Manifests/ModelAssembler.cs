using System.Collections.Immutable;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Sources.Manifests.Policies;
using Mesh.Spiffe;

namespace Mesh.ControlPlane.Sources.Manifests;

/// <summary>Joins the objects of all files and the mesh marks into one model. Pure: the same input gives the same model.</summary>
internal static class ModelAssembler
{
    /// <param name="files">In the order in which duplicates are decided: the first wins.</param>
    /// <param name="addressesOf">The addresses of a host name (<c>addressType: FQDN</c>); empty while unknown.</param>
    /// <param name="now">What ended before has no effect; null: nothing ends.</param>
    /// <param name="inMotion">Kinds come apart, as from a cluster: what refers to something that is not there may only be ahead of it.</param>
    public static MeshModel Assemble(
        IEnumerable<ManifestFile> files, TrustDomain trustDomain, IMeshMarks marks, Func<string, ImmutableArray<string>> addressesOf, DateTimeOffset? now = null,
        bool inMotion = false)
    {
        var problems = ImmutableArray.CreateBuilder<SourceProblem>();
        var objects = new Dictionary<ManifestKey, Manifest>();
        var refused = new List<RefusedManifest>();
        var origins = new Dictionary<ManifestKey, ManifestFile>();
        foreach (var file in files)
        {
            refused.AddRange(file.Refused);
            problems.AddRange(file.Problems);
            if (file.Origin is not null && (file.Objects.FirstOrDefault()?.Key ?? file.Refused.FirstOrDefault()?.Key) is { } origin)
            {
                origins[origin] = file;
            }

            foreach (var manifest in file.Objects)
            {
                if (!objects.TryAdd(manifest.Key, manifest))
                {
                    problems.Add(new SourceProblem(manifest.Where, $"{manifest.Key} stands already at {objects[manifest.Key].Where}, which is used. Remove one of the two."));
                }
            }
        }

        var places = new NodePlaces(objects);
        var endpoints = new EndpointAssembler(objects, places, trustDomain, marks, addressesOf, problems, inMotion);
        var services = objects.Values.OfType<ServiceManifest>().OrderBy(s => s.Key.Namespace, StringComparer.Ordinal).ThenBy(s => s.Key.Name, StringComparer.Ordinal)
            .ToImmutableDictionary(
                s => s.Name,
                s => endpoints.Service(s));
        endpoints.ReportOrphans(services);
        var references = new RouteReferences(objects, services, problems);
        var routes = new RouteAssembler(objects, references, problems).Assemble();
        var connections = new ConnectionRouteAssembler(objects, services, references, problems).Assemble();
        var model = new MeshModel
        {
            Services = services,
            Routes = routes,
            ConnectionRoutes = connections,
            Workloads = new WorkloadAssembler(objects, places, addressesOf).Assemble(),
            UntappableNamespaces = [.. objects.Values.OfType<NamespaceManifest>().Where(n => n.TapDisabled).Select(n => n.Key.Name)],
        };
        var policies = new PolicyAssembler(objects, model, refused, now, problems).Assemble();
        return model with
        {
            Policies = [.. policies.Select(p => origins.TryGetValue(new ManifestKey(p.Kind, p.Name.Namespace, p.Name.Name), out var file) ? p with { Origin = file.Origin } : p)],
            RouteReports = new RouteReports(objects, origins, refused, model).Of(references.Findings),
            Problems = problems.ToImmutable(),
        };
    }
}
