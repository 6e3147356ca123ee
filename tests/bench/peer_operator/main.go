// The peer of tests/bench/operator_scale: controller-runtime as its users write it, for the same CRD and the same children
// up to the point that the benchmark plays to. A finalizer and an inspect Job first; once that is complete, what serves
// FP16, and two quantize Jobs. It reads from the manager's caches, creates what is missing, tells each phase by an Event
// and writes the same conditions, candidates and route into the status, as a merge patch.
package main

import (
	"context"
	"flag"
	"net/http"
	"os"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/tools/record"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	metrics "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

var model = schema.GroupVersionKind{Group: "stepdown.dev", Version: "v1alpha1", Kind: "QuantizedModel"}

const finalizer = "stepdown.dev/cleanup"

type reconciler struct {
	client.Client
	events record.EventRecorder
}

func (r *reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	owner := &unstructured.Unstructured{}
	owner.SetGroupVersionKind(model)
	if err := r.Get(ctx, request.NamespacedName, owner); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if before := owner.DeepCopy(); controllerutil.AddFinalizer(owner, finalizer) {
		if err := r.Patch(ctx, owner, client.MergeFrom(before)); err != nil {
			return ctrl.Result{}, err
		}
	}
	source, _, _ := unstructured.NestedString(owner.Object, "spec", "model", "source")
	inspect := job(request.Name+"-inspect-peer", request.Name, source, "inspect", "--model", "/models/base", "--json")
	if err := r.ensure(ctx, owner, inspect); err != nil {
		return ctrl.Result{}, err
	}
	phase, message := "Inspecting", "reads the model's files"
	if complete(inspect) {
		phase, message = "Quantizing", "quantizes 2 of 2 candidates"
		for _, child := range children(request.Name, source) {
			if err := r.ensure(ctx, owner, child); err != nil {
				return ctrl.Result{}, err
			}
		}
	}
	if found, _, _ := unstructured.NestedString(owner.Object, "status", "phase"); found != phase {
		changed := owner.DeepCopy()
		changed.Object["status"] = status(owner, phase, message)
		if err := r.Status().Patch(ctx, changed, client.MergeFrom(owner)); err != nil {
			return ctrl.Result{}, err
		}
		r.events.Event(owner, corev1.EventTypeNormal, phase, message)
	}
	return ctrl.Result{}, nil
}

func status(owner *unstructured.Unstructured, phase, message string) map[string]any {
	now := time.Now().UTC().Format(time.RFC3339)
	var conditions []any
	for _, kind := range []string{"Ready", "Reconciling", "Stalled", "Available", "Compatible", "Quantized", "Evaluated", "Promoted"} {
		state := map[bool]string{true: "True", false: "False"}[kind == "Reconciling"]
		conditions = append(conditions, map[string]any{"type": kind, "status": state, "reason": phase, "message": message,
			"observedGeneration": owner.GetGeneration(), "lastTransitionTime": now})
	}
	out := map[string]any{"phase": phase, "observedGeneration": owner.GetGeneration(), "conditions": conditions,
		"summary": map[string]any{"message": message}}
	if phase == "Inspecting" {
		return out
	}
	for _, name := range []string{"a", "b"} {
		candidates, _ := out["candidates"].([]any)
		out["candidates"] = append(candidates, map[string]any{"name": name, "state": phase, "message": "runs", "quantizeJob": owner.GetName() + "-quant-" + name})
	}
	out["stableRevision"] = "fp16"
	out["traffic"] = []any{map[string]any{"revision": "fp16", "role": "fp16", "percent": int64(100)}}
	return out
}

// ensure creates the child unless the cache has it.
func (r *reconciler) ensure(ctx context.Context, owner client.Object, child client.Object) error {
	child.SetNamespace(owner.GetNamespace())
	key := client.ObjectKeyFromObject(child)
	if err := ctrl.SetControllerReference(owner, child, r.Scheme()); err != nil {
		return err
	}
	wanted := child.DeepCopyObject().(client.Object)
	if err := r.Get(ctx, key, child); !apierrors.IsNotFound(err) {
		return err
	}
	if err := r.Create(ctx, wanted); err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	return nil
}

func complete(job *batchv1.Job) bool {
	for _, condition := range job.Status.Conditions {
		if condition.Type == batchv1.JobComplete && condition.Status == corev1.ConditionTrue {
			return true
		}
	}
	return false
}

func labels(name, part string) map[string]string {
	return map[string]string{"app.kubernetes.io/managed-by": "stepdown", "app.kubernetes.io/name": part,
		"app.kubernetes.io/instance": name, "stepdown.dev/model": name}
}

func meta(name, model, part string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, Labels: labels(model, part)}
}

func pod(model, part, source string, args []string) corev1.PodTemplateSpec {
	yes, no, user := true, false, int64(65532)
	return corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels(model, part)}, Spec: corev1.PodSpec{
		RestartPolicy:   map[bool]corev1.RestartPolicy{true: corev1.RestartPolicyNever, false: corev1.RestartPolicyAlways}[part == "job"],
		SecurityContext: &corev1.PodSecurityContext{RunAsNonRoot: &yes, RunAsUser: &user, RunAsGroup: &user, FSGroup: &user, SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}},
		Volumes:         []corev1.Volume{{Name: "model", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "models"}}}},
		Containers: []corev1.Container{{Name: part, Image: "stepdown/engine:0.1.0", Args: args,
			Env:             []corev1.EnvVar{{Name: "POD_IP", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "status.podIP"}}}},
			Resources:       corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("64Mi")}},
			SecurityContext: &corev1.SecurityContext{AllowPrivilegeEscalation: &no, ReadOnlyRootFilesystem: &yes, Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}},
			VolumeMounts:    []corev1.VolumeMount{{Name: "model", MountPath: "/models/base", SubPath: source, ReadOnly: true}}}},
	}}
}

func job(name, model, source string, args ...string) *batchv1.Job {
	retries := int32(2)
	return &batchv1.Job{ObjectMeta: meta(name, model, "job"), Spec: batchv1.JobSpec{BackoffLimit: &retries, Template: pod(model, "job", source, args)}}
}

func deployment(name, model, part, source string, port int32, args ...string) *appsv1.Deployment {
	out := &appsv1.Deployment{ObjectMeta: meta(name, model, part), Spec: appsv1.DeploymentSpec{
		Selector: &metav1.LabelSelector{MatchLabels: labels(model, part)}, Template: pod(model, part, source, args)}}
	container := &out.Spec.Template.Spec.Containers[0]
	container.Ports = []corev1.ContainerPort{{Name: "http", ContainerPort: port}}
	probe := &corev1.Probe{PeriodSeconds: 2, TimeoutSeconds: 2, FailureThreshold: 2, ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/readyz", Port: intstr.FromString("http")}}}
	container.StartupProbe, container.ReadinessProbe, container.LivenessProbe = probe, probe.DeepCopy(), probe.DeepCopy()
	return out
}

func service(name, model, part string, port int32) *corev1.Service {
	return &corev1.Service{ObjectMeta: meta(name, model, part), Spec: corev1.ServiceSpec{Selector: labels(model, part),
		Ports: []corev1.ServicePort{{Name: "http", Port: port, TargetPort: intstr.FromString("http")}}}}
}

func budget(name, model, part string) *policyv1.PodDisruptionBudget {
	one := intstr.FromInt32(1)
	return &policyv1.PodDisruptionBudget{ObjectMeta: meta(name, model, part), Spec: policyv1.PodDisruptionBudgetSpec{
		MaxUnavailable: &one, Selector: &metav1.LabelSelector{MatchLabels: labels(model, part)}}}
}

func children(name, source string) []client.Object {
	gateway := name + "-gateway"
	return []client.Object{
		&corev1.PersistentVolumeClaim{ObjectMeta: meta(name+"-artifacts", name, "job"), Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("48Gi")}}}},
		job(name+"-quant-a", name, source, "quantize", "--model", "/models/base", "--artifacts", "/artifacts", "--method", "gguf", "--preset", "Q4_K_M"),
		job(name+"-quant-b", name, source, "quantize", "--model", "/models/base", "--artifacts", "/artifacts", "--method", "gguf", "--preset", "Q8_0"),
		deployment(name+"-fp16", name, "engine", source, 8080, "serve", "--model", "/models/base", "--host", "$(POD_IP)", "--port", "8080", "--served-model-name", name, "--context", "4096", "--max-sequences", "4", "--kv-type", "f16"),
		service(name+"-fp16", name, "engine", 8080),
		&corev1.ServiceAccount{ObjectMeta: meta(gateway, name, "gateway")},
		&rbacv1.Role{ObjectMeta: meta(gateway, name, "gateway"), Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{"stepdown.dev"}, Resources: []string{"quantizedmodels"}, Verbs: []string{"get", "list", "watch"}},
			{APIGroups: []string{"stepdown.dev"}, Resources: []string{"quantizedmodels/status"}, ResourceNames: []string{name}, Verbs: []string{"get", "patch"}},
			{APIGroups: []string{"discovery.k8s.io"}, Resources: []string{"endpointslices"}, Verbs: []string{"get", "list", "watch"}}}},
		&rbacv1.RoleBinding{ObjectMeta: meta(gateway, name, "gateway"), RoleRef: rbacv1.RoleRef{APIGroup: "rbac.authorization.k8s.io", Kind: "Role", Name: gateway},
			Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Name: gateway, Namespace: "default"}}},
		deployment(gateway, name, "gateway", source, 8000, "--namespace", "default", "--model", name, "--host", "$(POD_IP)", "--port", "8000", "--state-dir", "/state"),
		service(name, name, "gateway", 8000),
		budget(name+"-engines", name, "engine"),
		budget(gateway, name, "gateway"),
	}
}

func main() {
	address := flag.String("metrics-addr", "127.0.0.1:8080", "")
	workers := flag.Int("workers", 8, "")
	flag.Parse() // controller-runtime adds --kubeconfig
	ctrl.SetLogger(zap.New())
	manager, err := ctrl.NewManager(ctrl.GetConfigOrDie(), ctrl.Options{
		Metrics: metrics.Options{BindAddress: "0"}, HealthProbeBindAddress: *address,
		Client: client.Options{Cache: &client.CacheOptions{Unstructured: true}}})
	if err != nil {
		panic(err)
	}
	watched := &unstructured.Unstructured{}
	watched.SetGroupVersionKind(model)
	err = ctrl.NewControllerManagedBy(manager).For(watched).Owns(&batchv1.Job{}).Owns(&appsv1.Deployment{}).Owns(&corev1.Service{}).
		Owns(&corev1.ServiceAccount{}).Owns(&rbacv1.Role{}).Owns(&rbacv1.RoleBinding{}).Owns(&corev1.PersistentVolumeClaim{}).Owns(&policyv1.PodDisruptionBudget{}).
		WithOptions(controller.Options{MaxConcurrentReconciles: *workers}).Complete(&reconciler{manager.GetClient(), manager.GetEventRecorderFor("peer")})
	if err != nil {
		panic(err)
	}
	synced := func() bool { return manager.GetCache().WaitForCacheSync(context.Background()) }
	_ = manager.AddReadyzCheck("caches", func(_ *http.Request) error { synced(); return nil })
	if err := manager.Start(ctrl.SetupSignalHandler()); err != nil {
		os.Exit(1)
	}
}
